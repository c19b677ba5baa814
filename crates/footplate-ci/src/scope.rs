//! Which variables each place of a configuration sees (`pipeline-processing.md §14`, `§19`, `ci-yaml.md §9.2`).
//!
//! Includes see what exists before the pipeline does; workflow rules see the pipeline too; a job's rules see the job, its
//! environment, and the variables that belong to that environment.

use footplate_model::{environment_slug, environment_tier, group_name, slugify, wildcard_matches};

use crate::{
    config::Config,
    expand::Instance,
    keywords::variables::YamlVariable,
    pipeline::{Context, to_variable},
    variables::{DirectOptions, SortOptions, Variable, expand, sort_and_expand, sorted},
};

/// A variable that belongs to some environments only.
#[derive(Debug, Clone)]
pub struct ScopedVariable {
    /// Pattern of the names of its environments.
    pub scope: String,
    /// How many of [`Context::overriding`] stand below it.
    pub place: usize,
    /// The variable.
    pub variable: Variable,
}

/// Variables that are not there yet for includes, or only there for some jobs.
#[derive(Debug, Clone, Default)]
pub struct Later {
    /// Below the configuration's own, from the moment the configuration is read: `CI_PIPELINE_IID`.
    pub predefined: Vec<Variable>,
    /// Above the configuration's own and below [`Context::overriding`]: the user.
    pub user: Vec<Variable>,
    /// Among [`Context::overriding`], for jobs with a fitting environment; of equal places later ones win.
    pub scoped: Vec<ScopedVariable>,
}

impl Context {
    /// What holds around all jobs, for workflow rules and the pipeline's name; `own` are the configuration's variables.
    pub fn around(&self, own: impl IntoIterator<Item = Variable>) -> Vec<Variable> {
        self.layers(Vec::new(), own, None)
    }

    fn layers(
        &self,
        job: Vec<Variable>,
        own: impl IntoIterator<Item = Variable>,
        environment: Option<&str>,
    ) -> Vec<Variable> {
        let mut list = job;
        list.extend(self.predefined.iter().cloned());
        list.extend(self.later.predefined.iter().cloned());
        list.extend(own);
        list.extend(self.later.user.iter().cloned());
        let mut fitting = self
            .later
            .scoped
            .iter()
            .filter(|scoped| environment.is_some_and(|name| wildcard_matches(&scoped.scope, name)))
            .peekable();
        for place in 0..=self.overriding.len() {
            while let Some(scoped) = fitting.next_if(|scoped| scoped.place <= place) {
                list.push(scoped.variable.clone());
            }
            list.extend(self.overriding.get(place).cloned());
        }
        list
    }
}

/// A job with its layer of the configuration's variables.
struct Seen<'s> {
    context: &'s Context,
    instance: &'s Instance,
    own: Vec<Variable>,
}

impl Seen<'_> {
    /// Without the environment, by which its name is expanded.
    fn simple(&self) -> Vec<Variable> {
        self.context
            .layers(of_job(self.instance), self.own.iter().cloned(), None)
    }

    fn environment(&self) -> Option<String> {
        let name = self.instance.job.keywords.get("environment")?["name"].as_str()?;
        Some(fill(name, || self.simple()))
    }
}

fn seen<'s>(
    context: &'s Context,
    config: &Config,
    workflow: &[YamlVariable],
    instance: &'s Instance,
    rule: &[YamlVariable],
) -> Seen<'s> {
    let roots = config
        .variables
        .iter()
        .chain(workflow)
        .filter(|variable| instance.job.inherit_variables.lets(&variable.key));
    let own = roots.chain(&instance.variables).chain(rule);
    Seen {
        context,
        instance,
        own: own.map(to_variable).collect(),
    }
}

/// The variables that a job's conditions see, later ones win.
pub fn scoped(
    context: &Context,
    config: &Config,
    workflow: &[YamlVariable],
    instance: &Instance,
    rule: &[YamlVariable],
) -> Vec<Variable> {
    let seen = seen(context, config, workflow, instance, rule);
    let Some(name) = seen.environment() else {
        return seen.simple();
    };
    let mut job = of_job(instance);
    job.extend(of_environment(instance, &name));
    context.layers(job, seen.own, Some(&name))
}

/// The fault of a job whose variables refer to each other in a circle.
pub(crate) fn circle(job: &str, variables: &[Variable]) -> Option<String> {
    let referring = variables
        .iter()
        .filter(|variable| !variable.raw && variable.value.contains(['$', '%']));
    // It takes two.
    if referring.take(2).count() < 2 {
        return None;
    }
    let fault = sorted(variables).err()?;
    Some(format!("{job}: {fault}"))
}

/// The name of a job's environment, expanded by what is known before the pipeline is saved.
pub fn environment_name(
    context: &Context,
    config: &Config,
    workflow: &[YamlVariable],
    instance: &Instance,
    rule: &[YamlVariable],
) -> Option<String> {
    seen(context, config, workflow, instance, rule).environment()
}

fn plain(key: &str, value: impl Into<String>) -> Variable {
    Variable {
        key: key.to_owned(),
        value: value.into(),
        ..Variable::default()
    }
}

fn of_job(instance: &Instance) -> Vec<Variable> {
    let (name, job) = (&instance.name, &instance.job);
    let mut list = vec![
        plain("CI_JOB_NAME", name),
        plain("CI_JOB_NAME_SLUG", slugify(name)),
        plain("CI_JOB_GROUP_NAME", group_name(name)),
        plain("CI_JOB_STAGE", &job.stage),
    ];
    if matches!(job.when.as_str(), "manual" | "delayed") {
        list.push(plain("CI_JOB_MANUAL", "true"));
    }
    if let Some((number, _)) = instance.number {
        list.push(plain("CI_NODE_INDEX", number.to_string()));
    }
    let total = instance.number.map_or(1, |(_, total)| total);
    list.push(plain("CI_NODE_TOTAL", total.to_string()));
    list
}

fn of_environment(instance: &Instance, name: &str) -> Vec<Variable> {
    let written = &instance.job.keywords["environment"];
    let text = |key: &str| written[key].as_str();
    let mut list = vec![
        plain("CI_ENVIRONMENT_NAME", name),
        plain("CI_ENVIRONMENT_SLUG", environment_slug(name)),
        plain("CI_ENVIRONMENT_ACTION", text("action").unwrap_or("start")),
        plain(
            "CI_ENVIRONMENT_TIER",
            text("deployment_tier").unwrap_or_else(|| environment_tier(name)),
        ),
    ];
    list.extend(text("url").map(|url| plain("CI_ENVIRONMENT_URL", url)));
    list
}

/// Expands a text by a list that is expanded itself first; unknown names vanish.
pub fn fill(text: &str, variables: impl FnOnce() -> Vec<Variable>) -> String {
    if !text.contains(['$', '%']) {
        return text.to_owned();
    }
    let variables = variables();
    let expanded = sort_and_expand(&variables, SortOptions::default()).unwrap_or(variables);
    expand(text, &expanded, DirectOptions::default()).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use footplate_model::PipelineSource;

    use super::*;

    fn context() -> Context {
        Context {
            ref_name: "main".to_owned(),
            tag: false,
            source: PipelineSource::Push,
            project: None,
            predefined: vec![plain("P", "1")],
            overriding: vec![plain("GROUP", "all"), plain("GIVEN", "yes")],
            later: Later {
                predefined: vec![plain("CI_PIPELINE_IID", "7")],
                user: vec![plain("GITLAB_USER_LOGIN", "ann")],
                scoped: ["review/*", "review/a"]
                    .map(|scope| ScopedVariable {
                        scope: scope.to_owned(),
                        place: 1,
                        variable: plain("GROUP", scope),
                    })
                    .to_vec(),
            },
        }
    }

    fn shown(list: &[Variable]) -> String {
        list.iter()
            .map(|variable| format!("{}={}", variable.key, variable.value))
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn a_circle_is_a_fault_of_its_job() {
        let list = |pairs: &[(&str, &str)]| -> Vec<Variable> {
            pairs
                .iter()
                .map(|(key, value)| plain(key, *value))
                .collect()
        };
        let circular = list(&[("A", "$B"), ("B", "$A"), ("C", "$A")]);
        assert_eq!(
            circle("job", &circular).as_deref(),
            Some(r#"job: circular variable reference detected: ["A", "B"]"#)
        );
        // A name that refers to itself means the value below it.
        assert_eq!(
            circle("job", &list(&[("A", "1"), ("A", "$A:2"), ("B", "$A")])),
            None
        );
    }

    #[test]
    fn layers_stand_in_their_order() {
        let own = || [plain("OWN", "yaml")];
        assert_eq!(
            shown(&context().around(own())),
            "P=1 CI_PIPELINE_IID=7 OWN=yaml GITLAB_USER_LOGIN=ann GROUP=all GIVEN=yes"
        );
        assert_eq!(
            shown(&context().layers(Vec::new(), own(), Some("review/a"))),
            "P=1 CI_PIPELINE_IID=7 OWN=yaml GITLAB_USER_LOGIN=ann GROUP=all GROUP=review/* GROUP=review/a GIVEN=yes"
        );
        assert_eq!(
            shown(&context().layers(Vec::new(), own(), Some("production"))),
            "P=1 CI_PIPELINE_IID=7 OWN=yaml GITLAB_USER_LOGIN=ann GROUP=all GIVEN=yes"
        );
    }
}
