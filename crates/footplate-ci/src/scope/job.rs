//! The layers around one job.

use std::cell::OnceCell;

use footplate_model::wildcard_matches;

use super::{
    Lookup, PipelineScope, ScopedVariable, Seen, fill,
    own::{Own, is_own, of_environment, of_job},
    pipeline::of_yaml,
    reachable,
};
use crate::{
    expand::Instance,
    keywords::variables::YamlVariable,
    variables::{DirectOptions, Variable, expand},
    why::Level,
};

/// The variables of one job.
pub struct JobScope<'p> {
    pub(super) pipeline: &'p PipelineScope<'p>,
    pub(super) instance: &'p Instance,
    pub(super) rule: &'p [YamlVariable],
    /// Predefined ones of the job, by name.
    own: OnceCell<Vec<Own<'p>>>,
    /// Predefined ones of its environment.
    pub(super) of_environment: Vec<Own<'p>>,
    /// The name of its environment, expanded.
    environment: Option<String>,
    /// Variables of that environment, in the order of their places.
    fitting: Vec<&'p ScopedVariable>,
}

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
    pub(super) fn own(&self) -> &[Own<'p>] {
        self.own.get_or_init(|| of_job(self.instance))
    }

    fn own_value(&self, name: &str) -> Option<&str> {
        // Most names that begin with `CI_` are not the job's own, and making these is not free.
        if !is_own(name) {
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
