//! CI variables as users keep them (`rest-api.md §9.1`).

use footplate_model::{CiVariable, VariableId, VariableOwner, VariableType};
use footplate_store::{Tx, variables};

use crate::{App, Error, Result};

/// Values of a variable; what is absent stays as it is.
#[derive(Debug, Clone, Default)]
pub struct NewVariable {
    /// Name.
    pub key: Option<String>,
    /// Value.
    pub value: Option<String>,
    /// Text or file.
    pub variable_type: Option<VariableType>,
    /// Only on protected refs.
    pub protected: Option<bool>,
    /// Hidden in traces.
    pub masked: Option<bool>,
    /// Never shown again.
    pub hidden: Option<bool>,
    /// Not expanded.
    pub raw: Option<bool>,
    /// Environments.
    pub environment_scope: Option<String>,
    /// Description.
    pub description: Option<String>,
}

impl NewVariable {
    fn write(self, variable: &mut CiVariable) {
        let CiVariable {
            value,
            variable_type,
            protected,
            masked,
            raw,
            environment_scope,
            ..
        } = variable;
        if let Some(new) = self.value {
            *value = new;
        }
        *variable_type = self.variable_type.unwrap_or(*variable_type);
        *protected = self.protected.unwrap_or(*protected);
        *masked = self.masked.unwrap_or(*masked);
        *raw = self.raw.unwrap_or(*raw);
        if let Some(scope) = self.environment_scope {
            *environment_scope = scope;
        }
        variable.description = self.description.or(variable.description.take());
    }
}

fn check(variable: &CiVariable) -> Result<()> {
    let key_fits = !variable.key.is_empty()
        && variable.key.len() <= 255
        && variable
            .key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !key_fits {
        return Err(Error::invalid(
            "key",
            "can contain only letters, digits and '_'.",
        ));
    }
    // A value that can be masked is one line of at least 8 characters (`rest-api.md §9.1`).
    let maskable =
        variable.value.chars().count() >= 8 && !variable.value.chars().any(char::is_whitespace);
    if variable.masked && !maskable {
        return Err(Error::invalid("value", "is invalid"));
    }
    Ok(())
}

impl App {
    /// All variables of an owner.
    ///
    /// # Errors
    /// Failures of the database.
    pub async fn list_variables(&self, owner: VariableOwner) -> Result<Vec<CiVariable>> {
        let keys = self.keys().clone();
        Ok(self
            .db()
            .read(async move |tx: &mut Tx<'_>| variables::list(tx, &keys, owner).await)
            .await?)
    }

    /// One variable; the scope tells those of the same name apart.
    ///
    /// # Errors
    /// 404, 409 where several fit.
    pub async fn find_variable(
        &self,
        owner: VariableOwner,
        key: String,
        scope: Option<String>,
    ) -> Result<CiVariable> {
        let mut found = self.list_variables(owner).await?;
        found.retain(|variable| {
            variable.key == key
                && scope
                    .as_ref()
                    .is_none_or(|scope| *scope == variable.environment_scope)
        });
        if found.len() > 1 {
            return Err(Error::refused(
                409,
                "There are multiple variables with provided parameters. Please use 'filter[environment_scope]'",
            ));
        }
        found.pop().ok_or(Error::NotFound("404 Variable Not Found"))
    }

    /// Makes a variable.
    ///
    /// # Errors
    /// 400 in GitLab's words.
    pub async fn create_variable(
        &self,
        owner: VariableOwner,
        new: NewVariable,
    ) -> Result<CiVariable> {
        let mut variable = CiVariable {
            id: VariableId(0),
            owner,
            key: new.key.clone().unwrap_or_default(),
            value: String::new(),
            variable_type: VariableType::EnvVar,
            protected: false,
            masked: false,
            hidden: new.hidden.unwrap_or(false),
            raw: false,
            environment_scope: "*".to_owned(),
            description: None,
        };
        new.write(&mut variable);
        check(&variable)?;
        let keys = self.keys().clone();
        let made = self
            .db()
            .write(async move |tx: &mut Tx<'_>| variables::insert(tx, &keys, &variable).await)
            .await
            .map_err(Error::from);
        made.map_err(|error| match error {
            Error::Conflict(_) => Error::Invalid(std::collections::BTreeMap::from([(
                "key".to_owned(),
                vec![
                    "(VARIABLE) has already been taken"
                        .replace("VARIABLE", "the name in this scope"),
                ],
            )])),
            other => other,
        })
    }

    /// Changes a variable.
    ///
    /// # Errors
    /// 404, 409, 400.
    pub async fn update_variable(
        &self,
        owner: VariableOwner,
        key: String,
        scope: Option<String>,
        new: NewVariable,
    ) -> Result<CiVariable> {
        let mut variable = self.find_variable(owner, key, scope).await?;
        new.write(&mut variable);
        check(&variable)?;
        let (keys, row) = (self.keys().clone(), variable.clone());
        self.db()
            .write(async move |tx: &mut Tx<'_>| variables::update(tx, &keys, &row).await)
            .await?;
        Ok(variable)
    }

    /// Removes a variable.
    ///
    /// # Errors
    /// 404, 409.
    pub async fn delete_variable(
        &self,
        owner: VariableOwner,
        key: String,
        scope: Option<String>,
    ) -> Result<()> {
        let found = self.find_variable(owner, key, scope).await?;
        Ok(self
            .db()
            .write(async move |tx: &mut Tx<'_>| variables::delete(tx, found.id).await)
            .await?)
    }
}
