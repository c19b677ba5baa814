//! CI variables of projects, groups and the instance (`rest-api.md §9.1`).

use footplate_app::{Error, NewVariable, can};
use footplate_model::{AccessLevel, CiVariable, VariableOwner, VariableType};
use http::StatusCode;
use serde_json::{Value as Json, json};

use crate::{
    call::Call,
    error::{Answer, Failure, answer, no_content},
    page::Page,
};

/// Whose variables are meant.
#[derive(Clone, Copy)]
enum Whose {
    Project,
    Group,
    Instance,
}

fn shown(variable: &CiVariable) -> Json {
    let mut shown = json!({
        "variable_type": variable.variable_type.as_str(), "key": variable.key,
        "value": if variable.hidden { Json::Null } else { json!(variable.value) }, "hidden": variable.hidden,
        "protected": variable.protected, "masked": variable.masked, "raw": variable.raw, "description": variable.description,
    });
    if variable.owner != VariableOwner::Instance {
        shown["environment_scope"] = json!(variable.environment_scope);
    }
    shown
}

async fn owner(call: &Call, whose: Whose) -> Result<VariableOwner, Failure> {
    Ok(match whose {
        Whose::Project => {
            let actor = call.user().await?;
            VariableOwner::Project(
                call.project::<can::AdminVariables>(actor)
                    .await?
                    .project_id(),
            )
        }
        Whose::Group => {
            let actor = call.user().await?;
            VariableOwner::Group(
                super::projects::group(call, actor, AccessLevel::OWNER)
                    .await?
                    .group
                    .id,
            )
        }
        Whose::Instance => {
            call.admin().await?;
            VariableOwner::Instance
        }
    })
}

fn scope_filter(call: &Call) -> Option<String> {
    call.params
        .value("filter")
        .and_then(|filter| filter["environment_scope"].as_str())
        .map(str::to_owned)
}

async fn list(call: Call, whose: Whose) -> Answer {
    let owner = owner(&call, whose).await?;
    let page = Page::of(&call)?;
    let rows = call.app.list_variables(owner).await?;
    let total = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    let (skip, take) = (
        usize::try_from(page.offset()).unwrap_or(usize::MAX),
        usize::try_from(page.per_page).unwrap_or(0),
    );
    let mut response = answer(
        StatusCode::OK,
        &Json::from_iter(rows.iter().skip(skip).take(take).map(shown)),
    );
    page.headers(
        &call,
        &mut response,
        Some(total),
        page.offset().saturating_add(page.per_page) < total,
    );
    Ok(response)
}

fn given(call: &Call) -> Result<NewVariable, Failure> {
    let params = &call.params;
    let variable_type = match params.text("variable_type")? {
        None => None,
        Some(word) => Some(VariableType::parse(&word).ok_or_else(|| {
            Error::Parameter("variable_type does not have a valid value".to_owned())
        })?),
    };
    let hidden = params.boolean("masked_and_hidden")?;
    Ok(NewVariable {
        key: params.text("key")?,
        value: params.text("value")?,
        variable_type,
        protected: params.boolean("protected")?,
        masked: params
            .boolean("masked")?
            .or(hidden.filter(|hidden| *hidden)),
        hidden,
        raw: params.boolean("raw")?,
        environment_scope: params.text("environment_scope")?,
        description: params.text("description")?,
    })
}

async fn create(call: Call, whose: Whose) -> Answer {
    let owner = owner(&call, whose).await?;
    call.params.required("key")?;
    call.params.required("value")?;
    let made = call.app.create_variable(owner, given(&call)?).await?;
    Ok(answer(StatusCode::CREATED, &shown(&made)))
}

async fn show(call: Call, whose: Whose) -> Answer {
    let owner = owner(&call, whose).await?;
    let found = call
        .app
        .find_variable(owner, call.path("key")?, scope_filter(&call))
        .await?;
    Ok(answer(StatusCode::OK, &shown(&found)))
}

async fn update(call: Call, whose: Whose) -> Answer {
    let owner = owner(&call, whose).await?;
    let key = call.path("key")?;
    let changed = call
        .app
        .update_variable(
            owner,
            key,
            scope_filter(&call),
            NewVariable {
                key: None,
                ..given(&call)?
            },
        )
        .await?;
    Ok(answer(StatusCode::OK, &shown(&changed)))
}

async fn remove(call: Call, whose: Whose) -> Answer {
    let owner = owner(&call, whose).await?;
    call.app
        .delete_variable(owner, call.path("key")?, scope_filter(&call))
        .await?;
    Ok(no_content())
}

macro_rules! handlers {
    ($($name:ident = $action:ident $whose:ident),* $(,)?) => {
        $(
            #[doc = concat!("`", stringify!($action), "` for variables of this owner.")]
            pub async fn $name(call: Call) -> Answer {
                $action(call, Whose::$whose).await
            }
        )*
    };
}

handlers! {
    list_project = list Project, create_project = create Project, show_project = show Project,
    update_project = update Project, remove_project = remove Project,
    list_group = list Group, create_group = create Group, show_group = show Group,
    update_group = update Group, remove_group = remove Group,
    list_instance = list Instance, create_instance = create Instance, show_instance = show Instance,
    update_instance = update Instance, remove_instance = remove Instance,
}
