//! Variables of the instance, the groups and the project, with the environments that they belong to (`pipeline-processing.md §14`).

use footplate_ci::Level;
use footplate_model::{
    CiVariable, NamespaceId, Project, ProjectId, VariableOwner, VariableType, wildcard_matches,
};
use footplate_store::{Keys, Tx, namespaces, variables};

use super::list::{JobVariable, VariableList};
use crate::Result;

/// The scope of a variable for all jobs.
const EVERYWHERE: &str = "*";

/// Whose protected variables count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Protected {
    instance: bool,
    groups: bool,
    project: bool,
}

impl Protected {
    /// Everybody's on a protected ref, nobody's elsewhere.
    pub(crate) fn on(protected_ref: bool) -> Self {
        Self {
            instance: protected_ref,
            groups: protected_ref,
            project: protected_ref,
        }
    }

    /// For what goes to another project: what belongs to this one stays here, what belongs to its group goes to others of it.
    pub(crate) fn towards(protected_ref: bool, from: &Project, to: &Project) -> Self {
        Self {
            instance: protected_ref,
            groups: protected_ref && from.namespace_id == to.namespace_id,
            project: protected_ref && from.id == to.id,
        }
    }

    fn lets(self, variable: &CiVariable) -> bool {
        !variable.protected
            || match variable.owner {
                VariableOwner::Instance => self.instance,
                VariableOwner::Group(_) => self.groups,
                VariableOwner::Project(_) => self.project,
            }
    }
}

/// A variable with its scope.
#[derive(Debug, Clone)]
pub(crate) struct Secret {
    scope: String,
    variable: JobVariable,
}

impl Secret {
    /// The scope, where it is not every environment.
    pub(crate) fn scope(&self) -> Option<&str> {
        (self.scope != EVERYWHERE).then_some(&self.scope)
    }

    /// The variable.
    pub(crate) fn variable(&self) -> &JobVariable {
        &self.variable
    }
}

/// All of them, later ones win: the instance, the groups from the outermost in, the project; of one owner `*`, then patterns,
/// then names.
pub(crate) async fn secrets(
    tx: &mut Tx<'_>,
    keys: &Keys,
    project: ProjectId,
    namespace: NamespaceId,
    protected: Protected,
) -> Result<Vec<Secret>> {
    let mut owners = vec![VariableOwner::Instance];
    let groups = namespaces::list_ancestors(tx, namespace).await?;
    owners.extend(
        groups
            .into_iter()
            .rev()
            .map(|group| VariableOwner::Group(group.id)),
    );
    owners.push(VariableOwner::Project(project));
    let mut list = Vec::new();
    for owner in owners {
        let mut found = variables::list(tx, keys, owner).await?;
        found.retain(|variable| protected.lets(variable));
        found.sort_by_key(|variable| specific(&variable.environment_scope));
        let of_owner = |variable| Secret::of(variable, level(owner));
        list.extend(found.into_iter().map(of_owner));
    }
    Ok(list)
}

/// How near a scope comes to one environment.
fn specific(scope: &str) -> (bool, bool, usize) {
    (scope != EVERYWHERE, !scope.contains('*'), scope.len())
}

fn level(owner: VariableOwner) -> Level {
    match owner {
        VariableOwner::Instance => Level::Instance,
        VariableOwner::Group(_) => Level::Group,
        VariableOwner::Project(_) => Level::Project,
    }
}

impl Secret {
    fn of(variable: CiVariable, level: Level) -> Self {
        Self {
            scope: variable.environment_scope,
            variable: JobVariable {
                key: variable.key,
                value: variable.value,
                public: false,
                masked: variable.masked,
                file: variable.variable_type == VariableType::File,
                raw: variable.raw,
                level,
            },
        }
    }
}

/// Those for a job in an environment, or in none.
pub(crate) fn fitting(secrets: Vec<Secret>, environment: Option<&str>) -> VariableList {
    let fits = |scope: Option<&str>| match (scope, environment) {
        (None, _) => true,
        (Some(scope), Some(name)) => wildcard_matches(scope, name),
        (Some(_), None) => false,
    };
    VariableList(
        secrets
            .into_iter()
            .filter(|secret| fits(secret.scope()))
            .map(|secret| secret.variable)
            .collect(),
    )
}

/// The variables of one job from all its owners.
pub(crate) async fn secret_variables(
    tx: &mut Tx<'_>,
    keys: &Keys,
    project: ProjectId,
    namespace: NamespaceId,
    protected_ref: bool,
    environment: Option<&str>,
) -> Result<VariableList> {
    let all = secrets(tx, keys, project, namespace, Protected::on(protected_ref)).await?;
    Ok(fitting(all, environment))
}
