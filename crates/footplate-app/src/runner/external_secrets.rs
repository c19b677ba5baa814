//! `secrets`: what the runner fetches from a provider itself, with the server and the token to use (`runner-protocol.md §2.5`).

use serde_json::{Map, Value as Json, json};

use crate::{definition::Definition, variables::list::VariableList};

/// The engine of a Vault secret that names none.
const ENGINE: &str = "kv-v2";

/// The blocks of the payload by the name of their variable; nothing where the job asks for none.
pub(super) fn external_secrets(definition: &Definition, variables: &VariableList) -> Option<Json> {
    let written = definition.keyword("secrets").as_object()?;
    let first_token = definition
        .keyword("id_tokens")
        .as_object()
        .and_then(|tokens| tokens.keys().next())
        .map(|name| format!("${name}"));
    let mut secrets = Map::new();
    for (name, secret) in written {
        // The runner fills in the token's variable.
        let token = secret["token"].as_str().or(first_token.as_deref());
        let providers = secret.as_object().into_iter().flatten();
        for (provider, block) in providers.filter(|(key, _)| *key != "file" && *key != "token") {
            let file = secret["file"].as_bool().unwrap_or(true);
            let block = with_server(provider, block, token, variables);
            secrets.insert(name.clone(), json!({provider: block, "file": file}));
        }
    }
    (!secrets.is_empty()).then_some(Json::Object(secrets))
}

fn with_server(
    provider: &str,
    block: &Json,
    token: Option<&str>,
    variables: &VariableList,
) -> Json {
    let value = |name: &str| variables.last(name).map(Json::from);
    let given = |pairs: &[(&str, Option<Json>)]| {
        let filled = pairs
            .iter()
            .filter_map(|(key, value)| Some(((*key).to_owned(), value.clone()?)));
        Json::Object(filled.collect())
    };
    let jwt = token.map(Json::from);
    let (mut block, server) = match provider {
        "vault" => {
            let data = given(&[("jwt", jwt), ("role", value("VAULT_AUTH_ROLE"))]);
            let path = value("VAULT_AUTH_PATH").unwrap_or_else(|| json!("jwt"));
            let server = given(&[
                ("url", value("VAULT_SERVER_URL")),
                ("namespace", value("VAULT_NAMESPACE")),
                (
                    "auth",
                    Some(json!({"name": "jwt", "path": path, "data": data})),
                ),
            ]);
            (vault(block), server)
        }
        "gcp_secret_manager" => {
            let pool = "workload_identity_federation_pool_id";
            let provider = "workload_identity_federation_provider_id";
            let server = given(&[
                ("project_number", value("GCP_PROJECT_NUMBER")),
                (pool, value("GCP_WORKLOAD_IDENTITY_FEDERATION_POOL_ID")),
                (
                    provider,
                    value("GCP_WORKLOAD_IDENTITY_FEDERATION_PROVIDER_ID"),
                ),
                ("jwt", jwt),
            ]);
            (block.clone(), server)
        }
        "azure_key_vault" => {
            let server = given(&[
                ("url", value("AZURE_KEY_VAULT_SERVER_URL")),
                ("client_id", value("AZURE_CLIENT_ID")),
                ("tenant_id", value("AZURE_TENANT_ID")),
                ("jwt", jwt),
            ]);
            (block.clone(), server)
        }
        "aws_secrets_manager" => {
            let server = given(&[
                ("region", value("AWS_REGION")),
                ("role_arn", value("AWS_ROLE_ARN")),
                ("role_session_name", value("AWS_ROLE_SESSION_NAME")),
                ("jwt", jwt),
            ]);
            (aws(block), server)
        }
        // Its server would be GitLab's own.
        _ => return block.clone(),
    };
    block["server"] = server;
    block
}

/// `path/field@engine` written out.
fn vault(block: &Json) -> Json {
    let Some(text) = block.as_str() else {
        return block.clone();
    };
    let (secret, engine) = text.rsplit_once('@').unwrap_or((text, ENGINE));
    let (path, field) = secret.rsplit_once('/').unwrap_or(("", secret));
    json!({"engine": {"name": ENGINE, "path": engine}, "path": path, "field": field})
}

/// `id#field` written out.
fn aws(block: &Json) -> Json {
    let Some(text) = block.as_str() else {
        return block.clone();
    };
    match text.split_once('#') {
        Some((id, field)) => json!({"secret_id": id, "field": field}),
        None => json!({"secret_id": text}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(secrets: Json, variables: &[(&str, &str)]) -> Option<Json> {
        let mut definition = Definition::default();
        let keywords = &mut definition.job.keywords;
        keywords.insert("secrets".to_owned(), secrets);
        keywords.insert("id_tokens".to_owned(), json!({"FIRST": {"aud": "a"}}));
        let mut list = VariableList::default();
        for (key, value) in variables {
            list.public(key, value);
        }
        external_secrets(&definition, &list)
    }

    #[test]
    fn vault_has_its_server_and_token() {
        let vault = [
            ("VAULT_SERVER_URL", "https://vault"),
            ("VAULT_AUTH_ROLE", "ci"),
        ];
        assert_eq!(
            of(
                json!({"PASSWORD": {"vault": "prod/db/password@ops", "file": false}}),
                &vault
            ),
            Some(json!({"PASSWORD": {
                "vault": {
                    "engine": {"name": "kv-v2", "path": "ops"}, "path": "prod/db", "field": "password",
                    "server": {
                        "url": "https://vault",
                        "auth": {"name": "jwt", "path": "jwt", "data": {"jwt": "$FIRST", "role": "ci"}},
                    },
                },
                "file": false,
            }}))
        );
    }

    #[test]
    fn other_providers_have_theirs() {
        assert_eq!(
            of(
                json!({"KEY": {"aws_secrets_manager": "app#key", "token": "$AWS"}}),
                &[("AWS_REGION", "eu-west-1")]
            ),
            Some(json!({"KEY": {
                "aws_secrets_manager": {"secret_id": "app", "field": "key", "server": {"region": "eu-west-1", "jwt": "$AWS"}},
                "file": true,
            }}))
        );
        assert_eq!(of(json!({}), &[]), None);
    }
}
