//! The layers around all jobs.

use std::collections::{HashMap, HashSet};

use super::{Lookup, Seen, circles, lookup::levels_in};
use crate::{
    config::Config, keywords::variables::YamlVariable, pipeline::Context, variables::Variable,
    why::Level,
};

/// The variables of a whole pipeline; also what its workflow sees.
pub struct PipelineScope<'p> {
    pub(super) context: &'p Context,
    pub(super) predefined: HashMap<&'p str, &'p Variable>,
    /// Root variables and those of the workflow's rule, in order.
    pub(super) written: Vec<&'p YamlVariable>,
    /// How many of them are root variables.
    roots_end: usize,
    pub(super) roots: HashMap<&'p str, &'p YamlVariable>,
    pub(super) user: HashMap<&'p str, &'p Variable>,
    /// With their places in the list.
    pub(super) overriding: HashMap<&'p str, (usize, &'p Variable)>,
    /// Names of those that refer to another, whatever layer they are of.
    pub(super) referring: HashSet<&'p str>,
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
    pub(super) fn root_levels(&self, name: &str) -> impl Iterator<Item = Level> {
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
    pub(super) fn overriding_levels(&self, name: &str) -> Vec<Level> {
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

/// A variable of the configuration as expansion sees it.
pub(super) fn of_yaml(variable: &YamlVariable) -> Variable {
    Variable {
        key: variable.key.clone(),
        value: variable.value.clone(),
        raw: variable.raw.unwrap_or(false),
        public: true,
        ..Variable::default()
    }
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
