//! The pipeline that would be made under other circumstances.

use footplate_app::{Assumed, Error, can};
use footplate_model::{GivenVariable, PipelineSource, VariableType};
use http::StatusCode;
use serde_json::{Map, Value as Json};

use crate::{
    call::Call,
    error::{Answer, answer},
    params::{Params, invalid, scalar},
};

/// `POST /projects/:id/simulate`: the object that `footplate lint --json` prints; with `against` two of them and what is different.
pub async fn simulate(call: Call) -> Answer {
    let actor = call.user().await?;
    let first = assumed(&call.params)?;
    let against = match call.params.value("against") {
        None => None,
        Some(Json::Object(object)) => Some(assumed(&Params(object.clone()))?),
        Some(_) => return Err(invalid("against").into()),
    };
    let access = call.project::<can::CreatePipeline>(actor).await?;
    let simulation = call.app.simulate(&access, first, against).await?;
    Ok(answer(StatusCode::OK, &simulation.0))
}

fn assumed(params: &Params) -> Result<Assumed, Error> {
    let source = match params.text("source")? {
        None => None,
        Some(word) => Some(
            PipelineSource::parse(&word)
                .ok_or_else(|| Error::Parameter("source does not have a valid value".to_owned()))?,
        ),
    };
    let inputs = match params.value("inputs") {
        None => Map::new(),
        Some(Json::Object(inputs)) => inputs.clone(),
        Some(_) => return Err(invalid("inputs")),
    };
    Ok(Assumed {
        ref_name: params.text("ref")?,
        tag: params.boolean("tag")?,
        source,
        variables: variables(params)?,
        changed: params.texts("changed")?,
        exists: params.texts("exists")?.unwrap_or_default(),
        inputs,
        child: params.boolean("child")?.unwrap_or(false),
        content: params.text("content")?,
    })
}

/// `{"NAME": "value"}`, or a list of `{"key": …, "value": …}` as for pipelines.
fn variables(params: &Params) -> Result<Vec<GivenVariable>, Error> {
    let given = |key: &str, value: &Json, kind: Option<&Json>| {
        let value = scalar(value).ok_or_else(|| invalid("variables"))?;
        let kind = kind.and_then(Json::as_str).unwrap_or("env_var");
        Ok(GivenVariable {
            key: key.to_owned(),
            value,
            variable_type: VariableType::parse(kind).ok_or_else(|| invalid("variables"))?,
            raw: false,
        })
    };
    match params.value("variables") {
        None => Ok(Vec::new()),
        Some(Json::Object(map)) => {
            let list = map.iter().map(|(key, value)| given(key, value, None));
            list.collect()
        }
        Some(Json::Array(list)) => {
            let list = list.iter().map(|item| match item["key"].as_str() {
                Some(key) => given(key, &item["value"], item.get("variable_type")),
                None => Err(invalid("variables")),
            });
            list.collect()
        }
        Some(_) => Err(invalid("variables")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn params(body: Json) -> Params {
        match body {
            Json::Object(map) => Params(map),
            _ => Params::default(),
        }
    }

    #[test]
    fn variables_are_a_map_or_a_list() {
        let map = variables(&params(json!({"variables": {"A": 1, "B": "x"}}))).unwrap();
        let list = variables(&params(
            json!({"variables": [{"key": "A", "value": 1}, {"key": "B", "value": "x", "variable_type": "file"}]}),
        ))
        .unwrap();
        let pairs = |list: &[GivenVariable]| -> Vec<(String, String)> {
            let pair = |one: &GivenVariable| (one.key.clone(), one.value.clone());
            list.iter().map(pair).collect()
        };
        assert_eq!(pairs(&map), pairs(&list));
        assert_eq!(list[1].variable_type, VariableType::File);
        for wrong in [
            json!("A=1"),
            json!([1]),
            json!({"A": [1]}),
            json!([{"value": 1}]),
        ] {
            assert!(variables(&params(json!({"variables": wrong}))).is_err());
        }
    }

    #[test]
    fn what_is_assumed_is_read_with_its_kinds() {
        let all = assumed(&params(json!({
            "ref": "v1", "tag": true, "source": "schedule", "changed": ["a"], "exists": "b", "inputs": {"n": 1}, "child": "yes",
            "content": "a: 1"})))
        .unwrap();
        assert_eq!((all.ref_name.as_deref(), all.tag), (Some("v1"), Some(true)));
        assert_eq!(all.source, Some(PipelineSource::Schedule));
        assert_eq!(all.changed.as_deref(), Some(&["a".to_owned()][..]));
        assert_eq!(all.exists, ["b"]);
        assert!(all.child && all.content.is_some() && all.inputs["n"] == 1);
        for wrong in [
            json!({"source": "x"}),
            json!({"tag": "x"}),
            json!({"inputs": []}),
            json!({"ref": []}),
        ] {
            assert!(assumed(&params(wrong.clone())).is_err(), "{wrong}");
        }
        let none = assumed(&Params::default()).unwrap();
        assert!(none.ref_name.is_none() && none.changed.is_none() && none.tag.is_none());
    }
}
