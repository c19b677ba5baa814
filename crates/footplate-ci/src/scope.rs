//! The variables that conditions see: layers that are looked up, never copied (`ci-yaml.md §9.2`).

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use serde_json::Value as Json;

use crate::{
    config::Config,
    expand::Instance,
    keywords::variables::YamlVariable,
    pipeline::Context,
    variables::{
        CollectionError, DirectOptions, SortOptions, Variable, expand, expand_existing, references,
        sort_and_expand, sorted,
    },
};

/// A variable that was found.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'v> {
    /// Its value, unexpanded.
    pub value: &'v str,
    /// Its value is used literally.
    pub raw: bool,
    /// Its value becomes a file.
    pub file: bool,
}

impl<'v> From<&'v Variable> for Seen<'v> {
    fn from(variable: &'v Variable) -> Self {
        Self {
            value: &variable.value,
            raw: variable.raw,
            file: variable.file,
        }
    }
}

impl<'v> From<&'v YamlVariable> for Seen<'v> {
    fn from(variable: &'v YamlVariable) -> Self {
        Self {
            value: &variable.value,
            raw: variable.raw.unwrap_or(false),
            file: false,
        }
    }
}

/// Variables by their names.
pub trait Lookup {
    /// The variable that counts, if there is one.
    fn seen(&self, name: &str) -> Option<Seen<'_>>;
}

impl Lookup for &[Variable] {
    fn seen(&self, name: &str) -> Option<Seen<'_>> {
        let mut newest_first = self.iter().rev();
        newest_first
            .find(|variable| variable.key == name)
            .map(Seen::from)
    }
}

/// The variables of a whole pipeline; also what its workflow sees.
pub struct PipelineScope<'p> {
    context: &'p Context,
    predefined: HashMap<&'p str, &'p Variable>,
    /// Root variables and those of the workflow's rule, in order.
    written: Vec<&'p YamlVariable>,
    roots: HashMap<&'p str, &'p YamlVariable>,
    overriding: HashMap<&'p str, &'p Variable>,
    /// Whether any of them refers to another.
    refers: bool,
}

impl<'p> PipelineScope<'p> {
    /// Layers of a pipeline; `workflow` are the variables of the workflow's matching rule.
    pub fn new(context: &'p Context, config: &'p Config, workflow: &'p [YamlVariable]) -> Self {
        fn by_key(list: &[Variable]) -> HashMap<&str, &Variable> {
            list.iter()
                .map(|variable| (variable.key.as_str(), variable))
                .collect()
        }
        let written: Vec<&YamlVariable> = config.variables.iter().chain(workflow).collect();
        let mut scope = Self {
            context,
            predefined: by_key(&context.predefined),
            roots: written
                .iter()
                .map(|variable| (variable.key.as_str(), *variable))
                .collect(),
            written,
            overriding: by_key(&context.overriding),
            refers: false,
        };
        let values = scope.predefined.values().chain(scope.overriding.values());
        scope.refers = values.map(|variable| variable.value.as_str()).any(refers)
            || scope.roots.values().any(|variable| refers(&variable.value));
        scope
    }
}

impl Lookup for PipelineScope<'_> {
    fn seen(&self, name: &str) -> Option<Seen<'_>> {
        let given = self.overriding.get(name).map(|found| Seen::from(*found));
        given
            .or_else(|| self.roots.get(name).map(|found| Seen::from(*found)))
            .or_else(|| self.predefined.get(name).map(|found| Seen::from(*found)))
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
    own: Vec<Own<'p>>,
}

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
            own: Vec::new(),
        };
        scope.own = of_job(instance);
        let environment = instance.job.keywords.get("environment");
        if let Some(environment) = environment {
            let own = of_environment(environment, &scope);
            scope.own.extend(own);
        }
        scope
    }

    /// Every variable, later ones win.
    pub fn list(&self) -> Vec<Variable> {
        let context = self.pipeline.context;
        let mut list = context.predefined.clone();
        list.extend(self.own.iter().map(|(key, value)| Variable {
            key: (*key).to_owned(),
            value: value.to_string(),
            ..Variable::default()
        }));
        let inherits = &self.instance.job.inherit_variables;
        list.extend(
            self.pipeline
                .written
                .iter()
                .filter(|variable| inherits.lets(&variable.key))
                .copied()
                .chain(&self.instance.variables)
                .chain(self.rule)
                .map(|variable| Variable {
                    key: variable.key.clone(),
                    value: variable.value.clone(),
                    raw: variable.raw.unwrap_or(false),
                    public: true,
                    ..Variable::default()
                }),
        );
        list.extend(context.overriding.iter().cloned());
        list
    }

    /// Variables that refer to each other in a circle.
    pub fn circle(&self) -> Option<CollectionError> {
        let own = self.instance.variables.iter().chain(self.rule);
        let job_refers = own.map(|variable| variable.value.as_str()).any(refers)
            || self.own.iter().any(|(_, value)| refers(value));
        if !job_refers && !self.pipeline.refers {
            return None;
        }
        // Of a name that is there twice only the one that wins can be referred to.
        let mut newest = HashMap::new();
        let list = self.list();
        for (index, variable) in list.iter().enumerate() {
            newest.insert(variable.key.as_str(), index);
        }
        let kept: Vec<Variable> = list
            .iter()
            .enumerate()
            .filter(|(index, variable)| newest.get(variable.key.as_str()) == Some(index))
            .map(|(_, variable)| variable.clone())
            .collect();
        sorted(&kept).err()
    }
}

impl Lookup for JobScope<'_> {
    fn seen(&self, name: &str) -> Option<Seen<'_>> {
        if let Some(found) = self.pipeline.overriding.get(name) {
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
        if let Some((_, value)) = self.own.iter().find(|(key, _)| *key == name) {
            return Some(Seen {
                value,
                raw: false,
                file: false,
            });
        }
        self.pipeline
            .predefined
            .get(name)
            .map(|found| Seen::from(*found))
    }
}

fn of_job(instance: &Instance) -> Vec<Own<'_>> {
    let mut own: Vec<Own<'_>> = Vec::with_capacity(4);
    own.push(("CI_JOB_NAME", instance.name.as_str().into()));
    own.push(("CI_JOB_STAGE", instance.job.stage.as_str().into()));
    if let Some((number, total)) = instance.number {
        own.push(("CI_NODE_INDEX", number.to_string().into()));
        own.push(("CI_NODE_TOTAL", total.to_string().into()));
    } else {
        own.push(("CI_NODE_TOTAL", "1".into()));
    }
    if instance.job.when == "manual" {
        own.push(("CI_JOB_MANUAL", "true".into()));
    }
    own
}

/// What is known of an environment before it exists: its name expanded, the rest as it is written.
fn of_environment<'p>(environment: &'p Json, scope: &dyn Lookup) -> Vec<Own<'p>> {
    let text = |key: &str| environment[key].as_str();
    let Some(name) = text("name") else {
        return Vec::new();
    };
    let variables = reachable([name], scope);
    let name = expand(name, &variables, DirectOptions::default()).unwrap_or_default();
    let mut own: Vec<Own<'p>> = vec![
        ("CI_ENVIRONMENT_NAME", name.into()),
        (
            "CI_ENVIRONMENT_ACTION",
            text("action").unwrap_or("start").into(),
        ),
    ];
    for (key, variable) in [
        ("deployment_tier", "CI_ENVIRONMENT_TIER"),
        ("url", "CI_ENVIRONMENT_URL"),
    ] {
        own.extend(text(key).map(|value| (variable, value.into())));
    }
    own
}

/// The variables that texts refer to, directly or through others, expanded among themselves.
pub fn reachable<'t>(
    texts: impl IntoIterator<Item = &'t str>,
    scope: &dyn Lookup,
) -> Vec<Variable> {
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
    sort_and_expand(&list, SortOptions::default()).unwrap_or(list)
}

/// A text with those references replaced that are known.
pub fn filled(text: &str, variables: &[Variable]) -> String {
    expand_existing(text, variables, DirectOptions::default()).unwrap_or_else(|_| text.to_owned())
}
