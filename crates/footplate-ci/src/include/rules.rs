//! Whether the rules of an item let its files in (`ci-yaml.md §4.1`).

use super::{Halt, Includer, Outcome, fault, scope::Scope};
use crate::{
    check::Check,
    keywords::rules::{Kind, rules},
    pipeline::{Matched, matches},
    yaml::Node,
};

impl Includer<'_> {
    /// `rules` of an item.
    pub(super) fn lets_in(&mut self, item: &Node, scope: &Scope) -> Outcome<bool> {
        let Some(node) = item
            .as_map()
            .and_then(|map| map.get("rules"))
            .filter(|node| !node.is_null())
        else {
            return Ok(true);
        };
        let mut check = Check::default();
        let list = rules(&mut check, "include:rules", node, Kind::Include);
        if let Some(first) = check.errors.into_iter().next() {
            return Err(Halt::Fault(first));
        }
        let variables = self.variables(scope);
        for rule in &list.unwrap_or_default() {
            // Where there is no project, there is no file either.
            let nowhere = !scope.has_project
                && rule
                    .exists
                    .as_ref()
                    .is_some_and(|exists| exists.project.is_none());
            if nowhere {
                continue;
            }
            match matches(rule, &variables, &scope.origin, self.answers, "include") {
                Matched::Missing => return Err(Halt::Missing),
                Matched::Failed(message) => {
                    let message = message
                        .strip_prefix("Failed to parse rule for include: ")
                        .or_else(|| message.strip_prefix("include: "))
                        .unwrap_or(&message);
                    return fault(rule.span, format!("include:{message}"));
                }
                Matched::No(_) => {}
                Matched::Yes(_) => return Ok(rule.when != Some("never")),
            }
        }
        Ok(false)
    }
}
