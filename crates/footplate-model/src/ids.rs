//! Ids are types: a `ProjectId` does not fit where a `PipelineId` goes.

use std::{fmt, str::FromStr};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = std::num::ParseIntError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map($name)
            }
        }

        impl From<$name> for i64 {
            fn from(id: $name) -> i64 {
                id.0
            }
        }
    )*};
}

ids! {
    /// A user.
    UserId,
    /// A group or the personal namespace of a user.
    NamespaceId,
    /// A project.
    ProjectId,
    /// A pipeline; unique in the instance. The per-project number is its `iid`.
    PipelineId,
    /// A stage of a pipeline.
    StageId,
    /// A job: script jobs, bridges and external statuses share one sequence.
    JobId,
    /// A runner.
    RunnerId,
    /// One machine of a runner, told apart by its `system_id`.
    RunnerManagerId,
    /// An artifact file of a job.
    ArtifactId,
    /// A personal, project or group access token.
    TokenId,
    /// A CI variable of an instance, group or project.
    VariableId,
    /// A resource group of a project.
    ResourceGroupId,
    /// A row of background work.
    TaskId,
    /// A recorded push whose pipelines are not all made yet.
    PushIntentId,
    /// A protected branch or tag.
    ProtectedRefId,
    /// An agent for Kubernetes.
    AgentId,
    /// A token of an agent for Kubernetes.
    AgentTokenId,
    /// An environment of a project.
    EnvironmentId,
}
