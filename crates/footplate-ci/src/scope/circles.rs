//! Variables that refer to each other in a circle.

use std::collections::HashMap;

use super::{JobScope, Lookup as _, refers};
use crate::variables::{CollectionError, Growth, Variable, references, sorted};

/// Names of variables, those whose values refer to others.
pub(super) fn referring<'v>(
    variables: impl Iterator<Item = (&'v str, &'v str)>,
) -> impl Iterator<Item = &'v str> {
    variables
        .filter(|(_, value)| refers(value))
        .map(|(name, _)| name)
}

impl JobScope<'_> {
    /// Variables that refer to each other in a circle.
    pub fn circle(&self) -> Option<CollectionError> {
        if self.is_circular() {
            self.circle_of_list()
        } else {
            None
        }
    }

    /// The first circle of all variables, in the order of their list.
    fn circle_of_list(&self) -> Option<CollectionError> {
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

    /// Names of variables that refer to others.
    fn referring(&self) -> Vec<&str> {
        let written = self.instance.variables.iter().chain(self.rule);
        let written = written.map(|variable| (&*variable.key, &*variable.value));
        let mut names: Vec<&str> = referring(written).collect();
        let of_environment = self.of_environment.iter();
        names.extend(referring(
            of_environment.map(|(key, value)| (*key, &**value)),
        ));
        if refers(&self.instance.name) || refers(&self.instance.job.stage) {
            names.extend(referring(
                self.own().iter().map(|(key, value)| (*key, &**value)),
            ));
        }
        names.extend(&self.pipeline.referring);
        names
    }

    /// What the variable of a name refers to.
    fn referred(&self, name: &str) -> Vec<&str> {
        match self.seen(name) {
            Some(found) if !found.raw && refers(found.value) => references(found.value).collect(),
            Some(_) | None => Vec::new(),
        }
    }

    /// Whether there is any circle, or values grow too large. There hardly ever is one, and nothing has to be listed to know that.
    fn is_circular(&self) -> bool {
        // On the way from a variable to those it refers to, or left behind with the size of its value.
        let mut left: HashMap<&str, Option<usize>> = HashMap::new();
        let mut growth = Growth::default();
        for start in self.referring() {
            if left.contains_key(start) {
                continue;
            }
            left.insert(start, None);
            let mut way = vec![(start, self.referred(start))];
            while let Some((name, open)) = way.last_mut() {
                match open.pop().map(|next| (next, left.get(next))) {
                    None => {
                        let size = self.seen(name).map_or(Some(0), |found| {
                            growth.of(found.value, found.raw, |other| {
                                let known = left.get(other).filter(|_| other != *name);
                                known.copied().flatten().unwrap_or(0)
                            })
                        });
                        if size.is_none() {
                            return true;
                        }
                        left.insert(name, size);
                        way.pop();
                    }
                    // One that refers to its own name means a weaker one.
                    Some((next, Some(None))) if next == *name => {}
                    Some((_, Some(None))) => return true,
                    Some((_, Some(Some(_)))) => {}
                    Some((next, None)) => {
                        left.insert(next, None);
                        way.push((next, self.referred(next)));
                    }
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use footplate_model::{JobKind, PipelineSource};
    use proptest::prelude::*;

    use super::*;
    use crate::{
        config::Config,
        job::Job,
        keywords::variables::YamlVariable,
        pipeline::Context,
        scope::{Later, PipelineScope},
        yaml::Span,
    };

    const NAMES: [&str; 5] = ["A", "B", "C", "D", "CI_JOB_NAME"];

    fn layer() -> impl Strategy<Value = Vec<(usize, String, bool)>> {
        let reference = (0..NAMES.len()).prop_map(|name| format!("${}", NAMES[name]));
        let value = prop::collection::vec(reference, 0..3).prop_map(|texts| texts.concat());
        prop::collection::vec((0..NAMES.len(), value, prop::bool::weighted(0.1)), 0..4)
    }

    fn plain(layer: &[(usize, String, bool)]) -> Vec<Variable> {
        let one = |(name, value, raw): &(usize, String, bool)| Variable {
            key: NAMES[*name].to_owned(),
            value: value.clone(),
            raw: *raw,
            ..Variable::default()
        };
        layer.iter().map(one).collect()
    }

    fn yaml(layer: &[(usize, String, bool)]) -> Vec<YamlVariable> {
        let one = |variable: Variable| YamlVariable {
            key: variable.key,
            value: variable.value,
            raw: Some(variable.raw),
            description: None,
            options: None,
        };
        let mut list: Vec<YamlVariable> = Vec::new();
        // The configuration cannot say a name twice in one place.
        for variable in plain(layer).into_iter().map(one) {
            if list.iter().all(|known| known.key != variable.key) {
                list.push(variable);
            }
        }
        list
    }

    proptest! {
        /// Whoever follows references by their names finds a circle exactly where the sorting of the whole list finds one.
        #[test]
        fn circles_are_found_without_a_list(
            layers in prop::collection::vec(layer(), 6),
            name in prop_oneof![Just("job"), Just("$A"), Just("x $D")],
        ) {
            let context = Context {
                ref_name: "main".to_owned(),
                tag: false,
                source: PipelineSource::Push,
                project: None,
                predefined: plain(&layers[0]),
                overriding: plain(&layers[1]),
                later: Later {
                    user: plain(&layers[2]),
                    ..Later::default()
                },
            };
            let config = Config {
                variables: yaml(&layers[3]),
                ..Config::default()
            };
            let mut job = Job::new(name, Span::default(), JobKind::Build);
            job.variables = yaml(&layers[4]);
            let instance = crate::expand::expand(&[Arc::new(job)])
                .expect("a job without parallel")
                .remove(0);
            let pipeline = PipelineScope::new(&context, &config, &[]);
            let rule = yaml(&layers[5]);
            let scope = JobScope::new(&pipeline, &instance, &rule);
            prop_assert_eq!(scope.is_circular(), scope.circle_of_list().is_some());
        }
    }
}
