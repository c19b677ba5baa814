//! Which variables each place of a configuration sees: layers that are looked up, never copied (`pipeline-processing.md §14`, `§19`,
//! `ci-yaml.md §9.2`).
//!
//! Includes see what exists before the pipeline does; workflow rules see the pipeline too; a job's rules see the job, its
//! environment, and the variables that belong to that environment.

mod circles;

use std::{
    borrow::Cow,
    cell::OnceCell,
    collections::{HashMap, HashSet},
};

use footplate_model::{environment_slug, environment_tier, group_name, slugify, wildcard_matches};

use serde_json::Value as Json;

use crate::{
    config::Config,
    expand::Instance,
    keywords::variables::YamlVariable,
    pipeline::Context,
    variables::{
        CollectionError, DirectOptions, SortOptions, Variable, expand, expand_existing, references,
        sort_and_expand,
    },
    why::Level,
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

/// A variable that was found.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'v> {
    /// Its value, unexpanded.
    pub value: &'v str,
    /// Its value is used literally.
    pub raw: bool,
    /// Its value becomes a file.
    pub file: bool,
    /// Its value is shown to nobody.
    pub masked: bool,
}

impl<'v> From<&'v Variable> for Seen<'v> {
    fn from(variable: &'v Variable) -> Self {
        Self {
            value: &variable.value,
            raw: variable.raw,
            file: variable.file,
            masked: variable.masked,
        }
    }
}

impl<'v> From<&'v YamlVariable> for Seen<'v> {
    fn from(variable: &'v YamlVariable) -> Self {
        Self {
            value: &variable.value,
            raw: variable.raw.unwrap_or(false),
            file: false,
            masked: false,
        }
    }
}

/// Variables by their names.
pub trait Lookup {
    /// The variable that counts, if there is one.
    fn seen(&self, name: &str) -> Option<Seen<'_>>;

    /// Levels that define it, the one that counts first.
    fn levels(&self, name: &str) -> Vec<Level>;
}

impl Lookup for &[Variable] {
    fn seen(&self, name: &str) -> Option<Seen<'_>> {
        let mut newest_first = self.iter().rev();
        newest_first
            .find(|variable| variable.key == name)
            .map(Seen::from)
    }

    fn levels(&self, name: &str) -> Vec<Level> {
        levels_in(self, name)
    }
}

/// Levels of a list, the strongest first.
fn levels_in(list: &[Variable], name: &str) -> Vec<Level> {
    let newest_first = list.iter().rev();
    let mut levels: Vec<Level> = newest_first
        .filter(|variable| variable.key == name)
        .map(|variable| variable.level)
        .collect();
    levels.dedup();
    levels
}

/// The variables of a whole pipeline; also what its workflow sees.
pub struct PipelineScope<'p> {
    context: &'p Context,
    predefined: HashMap<&'p str, &'p Variable>,
    /// Root variables and those of the workflow's rule, in order.
    written: Vec<&'p YamlVariable>,
    /// How many of them are root variables.
    roots_end: usize,
    roots: HashMap<&'p str, &'p YamlVariable>,
    user: HashMap<&'p str, &'p Variable>,
    /// With their places in the list.
    overriding: HashMap<&'p str, (usize, &'p Variable)>,
    /// Names of those that refer to another, whatever layer they are of.
    referring: HashSet<&'p str>,
}

impl<'p> PipelineScope<'p> {
    /// Layers of a pipeline; `workflow` are the variables of the workflow's matching rule.
    pub fn new(context: &'p Context, config: &'p Config, workflow: &'p [YamlVariable]) -> Self {
        fn by_key<'v>(
            list: impl IntoIterator<Item = &'v Variable>,
        ) -> HashMap<&'v str, &'v Variable> {
            list.into_iter()
                .map(|variable| (variable.key.as_str(), variable))
                .collect()
        }
        let later = &context.later;
        let written: Vec<&YamlVariable> = config.variables.iter().chain(workflow).collect();
        let mut scope = Self {
            context,
            predefined: by_key(context.predefined.iter().chain(&later.predefined)),
            roots: written
                .iter()
                .map(|variable| (variable.key.as_str(), *variable))
                .collect(),
            written,
            roots_end: config.variables.len(),
            user: by_key(&later.user),
            overriding: context
                .overriding
                .iter()
                .enumerate()
                .map(|(place, variable)| (variable.key.as_str(), (place, variable)))
                .collect(),
            referring: HashSet::new(),
        };
        let given = context
            .variables()
            .map(|given| (&*given.key, &*given.value));
        let roots = scope.roots.values().map(|root| (&*root.key, &*root.value));
        scope.referring = circles::referring(given.chain(roots)).collect();
        scope
    }

    /// Every variable that holds around all jobs, later ones win.
    fn list(&self) -> Vec<Variable> {
        let context = self.context;
        let below = context.predefined.iter().chain(&context.later.predefined);
        let mut list: Vec<Variable> = below.cloned().collect();
        list.extend(self.written.iter().map(|variable| of_yaml(variable)));
        list.extend(context.later.user.iter().cloned());
        list.extend(context.overriding.iter().cloned());
        list
    }
}

impl PipelineScope<'_> {
    /// The workflow's rule and the root, as far as they define it.
    fn root_levels(&self, name: &str) -> impl Iterator<Item = Level> {
        let defined = self.roots.contains_key(name);
        let (roots, workflow) = self.written.split_at(self.roots_end);
        let has = move |list: &[&YamlVariable]| {
            defined && list.iter().any(|variable| variable.key == name)
        };
        [(has(workflow), Level::Workflow), (has(roots), Level::Root)]
            .into_iter()
            .filter_map(|(there, level)| there.then_some(level))
    }

    /// Levels of those that override, the strongest first.
    fn overriding_levels(&self, name: &str) -> Vec<Level> {
        if self.overriding.contains_key(name) {
            levels_in(&self.context.overriding, name)
        } else {
            Vec::new()
        }
    }
}

impl Lookup for PipelineScope<'_> {
    fn seen(&self, name: &str) -> Option<Seen<'_>> {
        let given = self.overriding.get(name).map(|(_, found)| *found);
        given
            .or_else(|| self.user.get(name).copied())
            .map(Seen::from)
            .or_else(|| self.roots.get(name).map(|found| Seen::from(*found)))
            .or_else(|| self.predefined.get(name).map(|found| Seen::from(*found)))
    }

    fn levels(&self, name: &str) -> Vec<Level> {
        let mut levels = self.overriding_levels(name);
        levels.extend(self.user.contains_key(name).then_some(Level::Predefined));
        levels.extend(self.root_levels(name));
        levels.extend(
            self.predefined
                .contains_key(name)
                .then_some(Level::Predefined),
        );
        levels
    }
}

fn refers(value: &str) -> bool {
    value.contains(['$', '%'])
}

/// The variables of one job.
pub struct JobScope<'p> {
    pipeline: &'p PipelineScope<'p>,
    instance: &'p Instance,
    rule: &'p [YamlVariable],
    /// Predefined ones of the job, by name.
    own: OnceCell<Vec<Own<'p>>>,
    /// Predefined ones of its environment.
    of_environment: Vec<Own<'p>>,
    /// The name of its environment, expanded.
    environment: Option<String>,
    /// Variables of that environment, in the order of their places.
    fitting: Vec<&'p ScopedVariable>,
}

/// How the names of variables begin that are predefined for a job or its environment.
const OWN: [&str; 3] = ["CI_JOB_", "CI_NODE_", "CI_ENVIRONMENT_"];

/// A predefined variable of one job.
type Own<'p> = (&'static str, Cow<'p, str>);

impl<'p> JobScope<'p> {
    /// The variables of a job; `rule` are those of its matching rule, once it is known.
    pub fn new(
        pipeline: &'p PipelineScope<'p>,
        instance: &'p Instance,
        rule: &'p [YamlVariable],
    ) -> Self {
        let mut scope = Self {
            pipeline,
            instance,
            rule,
            own: OnceCell::new(),
            of_environment: Vec::new(),
            environment: None,
            fitting: Vec::new(),
        };
        let environment = instance.job.keywords.get("environment");
        if let Some(name) = environment.and_then(|environment| environment["name"].as_str()) {
            // Variables that grow too large are a fault of the job.
            let variables = reachable([name], &scope).unwrap_or_default();
            let name = expand(name, &variables, DirectOptions::default()).unwrap_or_default();
            scope.of_environment = of_environment(instance, &name);
            let scoped = pipeline.context.later.scoped.iter();
            scope.fitting = scoped
                .filter(|scoped| wildcard_matches(&scoped.scope, &name))
                .collect();
            scope.environment = Some(name);
        }
        scope
    }

    /// Predefined ones of the job: made when somebody asks.
    fn own(&self) -> &[Own<'p>] {
        self.own.get_or_init(|| of_job(self.instance))
    }

    fn own_value(&self, name: &str) -> Option<&str> {
        // Most names that begin with `CI_` are not the job's own, and making these is not free.
        if !OWN.iter().any(|own| name.starts_with(own)) {
            return None;
        }
        let mut own = self.of_environment.iter().chain(self.own());
        own.find(|(key, _)| *key == name).map(|(_, value)| &**value)
    }

    /// The strongest among those of the environment and those that override for every job.
    fn overriding(&self, name: &str) -> Option<&Variable> {
        let everywhere = self.pipeline.overriding.get(name);
        let fitting = self.fitting.iter().rev();
        let mut fitting = fitting.filter(|scoped| scoped.variable.key == name);
        match (everywhere, fitting.next()) {
            (Some((place, found)), Some(scoped)) if *place >= scoped.place => Some(*found),
            (_, Some(scoped)) => Some(&scoped.variable),
            (found, None) => found.map(|(_, found)| *found),
        }
    }

    /// Every variable, later ones win.
    pub fn list(&self) -> Vec<Variable> {
        let context = self.pipeline.context;
        let own = self.own().iter().chain(&self.of_environment);
        let mut list: Vec<Variable> = own
            .map(|(key, value)| Variable {
                key: (*key).to_owned(),
                value: value.to_string(),
                ..Variable::default()
            })
            .collect();
        let below = context.predefined.iter().chain(&context.later.predefined);
        list.extend(below.cloned());
        let inherits = &self.instance.job.inherit_variables;
        let roots = self.pipeline.written.iter().copied();
        list.extend(
            roots
                .filter(|variable| inherits.lets(&variable.key))
                .chain(&self.instance.variables)
                .chain(self.rule)
                .map(of_yaml),
        );
        list.extend(context.later.user.iter().cloned());
        let mut fitting = self.fitting.iter().peekable();
        for place in 0..=context.overriding.len() {
            while let Some(scoped) = fitting.next_if(|scoped| scoped.place <= place) {
                list.push(scoped.variable.clone());
            }
            list.extend(context.overriding.get(place).cloned());
        }
        list
    }

    /// The name of the job's environment, expanded by what is known before the pipeline is saved.
    pub fn environment(&self) -> Option<&str> {
        self.environment.as_deref()
    }

    /// Expands a text by all of them; unknown names vanish. Nothing is made of them for a text that refers to none.
    pub fn fill(&self, text: &str) -> String {
        fill(text, || self.list())
    }
}

impl Lookup for JobScope<'_> {
    fn seen(&self, name: &str) -> Option<Seen<'_>> {
        if let Some(found) = self.overriding(name) {
            return Some(Seen::from(found));
        }
        if let Some(found) = self.pipeline.user.get(name) {
            return Some(Seen::from(*found));
        }
        let yaml = self.rule.iter().rev().chain(&self.instance.variables);
        let mut own = yaml.filter(|variable| variable.key == name);
        if let Some(found) = own.next() {
            return Some(Seen::from(found));
        }
        if let Some(found) = self.pipeline.roots.get(name)
            && self.instance.job.inherit_variables.lets(name)
        {
            return Some(Seen::from(*found));
        }
        if let Some(found) = self.pipeline.predefined.get(name) {
            return Some(Seen::from(*found));
        }
        self.own_value(name).map(|value| Seen {
            value,
            raw: false,
            file: false,
            masked: false,
        })
    }

    fn levels(&self, name: &str) -> Vec<Level> {
        let has = |list: &[YamlVariable]| list.iter().any(|variable| variable.key == name);
        let mut levels: Vec<Level> = self
            .overriding(name)
            .map(|found| found.level)
            .into_iter()
            .collect();
        levels.extend(self.pipeline.overriding_levels(name));
        levels.dedup();
        let user = self.pipeline.user.contains_key(name);
        levels.extend(user.then_some(Level::Predefined));
        levels.extend(has(self.rule).then_some(Level::Rule));
        levels.extend(has(&self.instance.variables).then_some(Level::Job));
        if self.instance.job.inherit_variables.lets(name) {
            levels.extend(self.pipeline.root_levels(name));
        }
        let own = self.own_value(name).is_some();
        levels.extend(
            (own || self.pipeline.predefined.contains_key(name)).then_some(Level::Predefined),
        );
        levels
    }
}

fn of_yaml(variable: &YamlVariable) -> Variable {
    Variable {
        key: variable.key.clone(),
        value: variable.value.clone(),
        raw: variable.raw.unwrap_or(false),
        public: true,
        ..Variable::default()
    }
}

fn of_job(instance: &Instance) -> Vec<Own<'_>> {
    let (name, job) = (instance.name.as_str(), &instance.job);
    let mut own: Vec<Own<'_>> = vec![
        ("CI_JOB_NAME", name.into()),
        ("CI_JOB_NAME_SLUG", slugify(name).into()),
        ("CI_JOB_GROUP_NAME", group_name(name).into()),
        ("CI_JOB_STAGE", job.stage.as_str().into()),
    ];
    if matches!(job.when, "manual" | "delayed") {
        own.push(("CI_JOB_MANUAL", "true".into()));
    }
    if let Some((number, _)) = instance.number {
        own.push(("CI_NODE_INDEX", number.to_string().into()));
    }
    let total = instance.number.map_or(1, |(_, total)| total);
    own.push(("CI_NODE_TOTAL", total.to_string().into()));
    own
}

/// What is known of an environment before it exists: its name is expanded, its address as it is written.
fn of_environment<'p>(instance: &'p Instance, name: &str) -> Vec<Own<'p>> {
    let written = instance.job.keywords.get("environment");
    let written = written.unwrap_or(&Json::Null);
    let text = |key: &str| written[key].as_str();
    let tier = text("deployment_tier").unwrap_or_else(|| environment_tier(name));
    let action = text("action").unwrap_or("start");
    let mut own: Vec<Own<'p>> = vec![
        ("CI_ENVIRONMENT_NAME", name.to_owned().into()),
        ("CI_ENVIRONMENT_SLUG", environment_slug(name).into()),
        ("CI_ENVIRONMENT_ACTION", action.into()),
        ("CI_ENVIRONMENT_TIER", tier.to_owned().into()),
    ];
    own.extend(text("url").map(|url| ("CI_ENVIRONMENT_URL", url.into())));
    own
}

impl Context {
    /// Every variable of every layer around the configuration, in no order.
    pub fn variables(&self) -> impl Iterator<Item = &Variable> {
        let later = &self.later;
        let scoped = later.scoped.iter().map(|scoped| &scoped.variable);
        self.predefined
            .iter()
            .chain(&later.predefined)
            .chain(&later.user)
            .chain(&self.overriding)
            .chain(scoped)
    }

    /// What holds around all jobs, for the pipeline's name; `workflow` are the variables of the workflow's matching rule.
    pub fn around(&self, config: &Config, workflow: &[YamlVariable]) -> Vec<Variable> {
        PipelineScope::new(self, config, workflow).list()
    }
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

/// The variables that texts refer to, directly or through others, expanded among themselves; unexpanded where they refer to each
/// other in a circle.
///
/// # Errors
/// They grow too large.
pub fn reachable<'t>(
    texts: impl IntoIterator<Item = &'t str>,
    scope: &dyn Lookup,
) -> Result<Vec<Variable>, CollectionError> {
    let mut open: Vec<String> = Vec::new();
    for text in texts.into_iter().filter(|text| refers(text)) {
        open.extend(references(text).map(str::to_owned));
    }
    let (mut met, mut list) = (HashSet::new(), Vec::new());
    while let Some(name) = open.pop() {
        if !met.insert(name.clone()) {
            continue;
        }
        let Some(found) = scope.seen(&name) else {
            continue;
        };
        if !found.raw && refers(found.value) {
            open.extend(references(found.value).map(str::to_owned));
        }
        list.push(Variable {
            key: name,
            value: found.value.to_owned(),
            raw: found.raw,
            file: found.file,
            ..Variable::default()
        });
    }
    match sort_and_expand(&list, SortOptions::default()) {
        Err(CollectionError::Circle(_)) => Ok(list),
        expanded => expanded,
    }
}

/// A text with those references replaced that are known.
pub fn filled(text: &str, variables: &[Variable]) -> String {
    expand_existing(text, variables, DirectOptions::default()).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use footplate_model::{JobKind, PipelineSource};
    use serde_json::json;

    use super::*;
    use crate::job::Job;

    fn plain(key: &str, value: &str) -> Variable {
        Variable {
            key: key.to_owned(),
            value: value.to_owned(),
            ..Variable::default()
        }
    }

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

    /// What a job of an environment sees, without what is predefined of the job itself.
    fn seen_in(environment: &str) -> String {
        let mut job = Job::new("job", crate::yaml::Span::default(), JobKind::Build);
        let keyword = json!({"name": environment});
        job.keywords.insert("environment", keyword);
        let instance = crate::expand::expand(&[std::sync::Arc::new(job)])
            .expect("a job without parallel")
            .remove(0);
        let (context, config) = (context(), Config::default());
        let pipeline = PipelineScope::new(&context, &config, &[]);
        let scope = JobScope::new(&pipeline, &instance, &[]);
        for variable in scope.list() {
            let newest = scope.list().into_iter().rev();
            let counts = newest.into_iter().find(|other| other.key == variable.key);
            let counts = counts.map(|counts| counts.value);
            let seen = scope.seen(&variable.key).map(|seen| seen.value.to_owned());
            assert_eq!(seen, counts, "{}", variable.key);
        }
        let own = |variable: &Variable| {
            !variable.key.starts_with("CI_JOB")
                && !variable.key.starts_with("CI_NODE")
                && !variable.key.starts_with("CI_ENVIRONMENT")
        };
        let list = scope.list().into_iter().filter(own);
        let list: Vec<String> = list
            .map(|variable| format!("{}={}", variable.key, variable.value))
            .collect();
        list.join(" ")
    }

    #[test]
    fn layers_stand_in_their_order() {
        assert_eq!(
            seen_in("review/a"),
            "P=1 CI_PIPELINE_IID=7 GITLAB_USER_LOGIN=ann GROUP=all GROUP=review/* GROUP=review/a GIVEN=yes"
        );
        assert_eq!(
            seen_in("production"),
            "P=1 CI_PIPELINE_IID=7 GITLAB_USER_LOGIN=ann GROUP=all GIVEN=yes"
        );
    }
}
