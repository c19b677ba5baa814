//! Variables of the instance, the groups and the project, with the environments that they belong to (`pipeline-processing.md §14`).

use footplate_ci::Level;
use footplate_model::{CiVariable, Project, VariableOwner, VariableType, wildcard_matches};
use footplate_store::{Keys, Tx, id_list, namespaces, variables};

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

/// The variables around one project, as they are stored: of the instance, of its groups and its own.
pub(crate) struct Around(Vec<CiVariable>);

impl Around {
    /// Reads them; later ones win: the instance, the groups from the outermost in, the project; of one owner `*`, then patterns,
    /// then names.
    pub(crate) async fn read(tx: &mut Tx<'_>, keys: &Keys, project: &Project) -> Result<Self> {
        let groups = namespaces::list_ancestors(tx, project.namespace_id).await?;
        let ids = id_list(groups.iter().map(|group| group.id.0));
        let mut found = variables::list_around(tx, keys, project.id, &ids).await?;
        let rank = |owner: VariableOwner| match owner {
            VariableOwner::Instance => 0,
            VariableOwner::Group(id) => {
                let inner = groups.iter().position(|group| group.id == id);
                1 + groups.len() - inner.unwrap_or_default()
            }
            VariableOwner::Project(_) => usize::MAX,
        };
        found.sort_by_key(|variable| (rank(variable.owner), specific(&variable.environment_scope)));
        Ok(Self(found))
    }

    /// Those that count.
    pub(crate) fn secrets(&self, protected: Protected) -> Vec<Secret> {
        self.0
            .iter()
            .filter(|variable| protected.lets(variable))
            .map(|variable| Secret::of(variable.clone(), level(variable.owner)))
            .collect()
    }
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
