//! Closed vocabularies: enums whose words are the ones GitLab uses on the wire and in the database.

/// Declares an enum with its words: `as_str`, `parse`, `ALL`, `Display`, serde as text.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[doc = concat!("`", $word, "`")] #[serde(rename = $word)] $variant),* }

        impl $name {
            /// Every member, in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            /// The member with this word.
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use words;

words! {
    /// Which kind of row in the shared job sequence.
    JobKind { Build = "build", Bridge = "bridge", External = "external" }
}

words! {
    /// `when` of a job, after rules.
    When { OnSuccess = "on_success", OnFailure = "on_failure", Always = "always", Manual = "manual", Delayed = "delayed", Never = "never" }
}

words! {
    /// Whether a job follows stages or its `needs`.
    SchedulingType { Stage = "stage", Dag = "dag" }
}

words! {
    /// Where a pipeline came from (`rest-api.md §5.5`).
    PipelineSource {
        Push = "push",
        Web = "web",
        Trigger = "trigger",
        Schedule = "schedule",
        Api = "api",
        External = "external",
        Pipeline = "pipeline",
        Chat = "chat",
        Webide = "webide",
        MergeRequestEvent = "merge_request_event",
        ExternalPullRequestEvent = "external_pull_request_event",
        ParentPipeline = "parent_pipeline",
        OndemandDastScan = "ondemand_dast_scan",
        OndemandDastValidation = "ondemand_dast_validation",
        SecurityOrchestrationPolicy = "security_orchestration_policy",
        ContainerRegistryPush = "container_registry_push",
        DuoWorkflow = "duo_workflow",
        PipelineExecutionPolicySchedule = "pipeline_execution_policy_schedule",
        Unknown = "unknown",
    }
}

impl PipelineSource {
    /// Sources that do not move the ref's latest pipeline (`pipeline-processing.md §2.1`).
    pub fn is_dangling(self) -> bool {
        matches!(
            self,
            Self::Webide
                | Self::ParentPipeline
                | Self::OndemandDastScan
                | Self::OndemandDastValidation
                | Self::SecurityOrchestrationPolicy
        )
    }
}

words! {
    /// Why a pipeline could not be made (`pipeline-processing.md §2.1`).
    PipelineFailureReason {
        UnknownFailure = "unknown_failure",
        ConfigError = "config_error",
        ExternalValidationFailure = "external_validation_failure",
        UserNotVerified = "user_not_verified",
        ActivityLimitExceeded = "activity_limit_exceeded",
        SizeLimitExceeded = "size_limit_exceeded",
        JobActivityLimitExceeded = "job_activity_limit_exceeded",
        DeploymentsLimitExceeded = "deployments_limit_exceeded",
        ProjectDeleted = "project_deleted",
        FilteredByRules = "filtered_by_rules",
        FilteredByWorkflowRules = "filtered_by_workflow_rules",
    }
}

words! {
    /// Why a job failed (`rest-api.md §5.3`).
    FailureReason {
        UnknownFailure = "unknown_failure",
        ScriptFailure = "script_failure",
        ApiFailure = "api_failure",
        StuckOrTimeoutFailure = "stuck_or_timeout_failure",
        RunnerSystemFailure = "runner_system_failure",
        MissingDependencyFailure = "missing_dependency_failure",
        RunnerUnsupported = "runner_unsupported",
        StaleSchedule = "stale_schedule",
        JobExecutionTimeout = "job_execution_timeout",
        ArchivedFailure = "archived_failure",
        UnmetPrerequisites = "unmet_prerequisites",
        SchedulerFailure = "scheduler_failure",
        DataIntegrityFailure = "data_integrity_failure",
        ForwardDeploymentFailure = "forward_deployment_failure",
        UserBlocked = "user_blocked",
        ProjectDeleted = "project_deleted",
        CiQuotaExceeded = "ci_quota_exceeded",
        PipelineLoopDetected = "pipeline_loop_detected",
        NoMatchingRunner = "no_matching_runner",
        TraceSizeExceeded = "trace_size_exceeded",
        BuildsDisabled = "builds_disabled",
        EnvironmentCreationFailure = "environment_creation_failure",
        DeploymentRejected = "deployment_rejected",
        FailedOutdatedDeploymentJob = "failed_outdated_deployment_job",
        JobExecutionServerTimeout = "job_execution_server_timeout",
        StuckPendingWithMatchingRunners = "stuck_pending_with_matching_runners",
        StuckPendingNoMatchingRunners = "stuck_pending_no_matching_runners",
        NoUpdatesRunning = "no_updates_running",
        NoUpdatesCanceling = "no_updates_canceling",
        ServerTimeoutRunning = "server_timeout_running",
        ServerTimeoutCanceling = "server_timeout_canceling",
        RunnerConfigurationError = "runner_configuration_error",
        RunnerExternalDependencyFailure = "runner_external_dependency_failure",
        RunnerInterrupted = "runner_interrupted",
        ProtectedEnvironmentFailure = "protected_environment_failure",
        InsufficientBridgePermissions = "insufficient_bridge_permissions",
        DownstreamBridgeProjectNotFound = "downstream_bridge_project_not_found",
        InvalidBridgeTrigger = "invalid_bridge_trigger",
        UpstreamBridgeProjectNotFound = "upstream_bridge_project_not_found",
        InsufficientUpstreamPermissions = "insufficient_upstream_permissions",
        DownstreamPipelineCreationFailed = "downstream_pipeline_creation_failed",
        ReachedMaxDescendantPipelinesDepth = "reached_max_descendant_pipelines_depth",
        ReachedMaxPipelineHierarchySize = "reached_max_pipeline_hierarchy_size",
        ReachedDownstreamPipelinesTriggerRateLimit = "reached_downstream_pipelines_trigger_rate_limit",
        DownstreamProjectTriggerResolvedToEmpty = "downstream_project_trigger_resolved_to_empty",
        BridgePipelineIsChildPipeline = "bridge_pipeline_is_child_pipeline",
        SecretsProviderNotFound = "secrets_provider_not_found",
        IpRestrictionFailure = "ip_restriction_failure",
        JobTokenExpired = "job_token_expired",
    }
}

words! {
    /// Who may see a project.
    Visibility { Private = "private", Internal = "internal", Public = "public" }
}

words! {
    /// What a runner serves.
    RunnerType { Instance = "instance_type", Group = "group_type", Project = "project_type" }
}

words! {
    /// Which refs a runner serves.
    RunnerAccessLevel { NotProtected = "not_protected", RefProtected = "ref_protected" }
}

words! {
    /// Which waiting job a resource group lets through next (`pipeline-processing.md §11`).
    ProcessMode { Unordered = "unordered", OldestFirst = "oldest_first", NewestFirst = "newest_first", NewestReadyFirst = "newest_ready_first" }
}

words! {
    /// How a variable reaches the job.
    VariableType { EnvVar = "env_var", File = "file" }
}

words! {
    /// `workflow:auto_cancel:on_job_failure`.
    OnJobFailure { None = "none", All = "all" }
}

words! {
    /// `workflow:auto_cancel:on_new_commit`.
    OnNewCommit { Conservative = "conservative", Interruptible = "interruptible", None = "none" }
}

words! {
    /// `trigger:strategy`.
    TriggerStrategy { Depend = "depend", Mirror = "mirror" }
}

words! {
    /// State of a user account.
    UserState { Active = "active", Blocked = "blocked", Deactivated = "deactivated", LdapBlocked = "ldap_blocked", Banned = "banned" }
}

/// A role in a project or group; ordered (`rest-api.md §3`).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct AccessLevel(pub i64);

impl AccessLevel {
    /// Nobody.
    pub const NONE: Self = Self(0);
    /// Minimal access.
    pub const MINIMAL: Self = Self(5);
    /// Guest.
    pub const GUEST: Self = Self(10);
    /// Planner.
    pub const PLANNER: Self = Self(15);
    /// Reporter.
    pub const REPORTER: Self = Self(20);
    /// Developer.
    pub const DEVELOPER: Self = Self(30);
    /// Maintainer.
    pub const MAINTAINER: Self = Self(40);
    /// Owner.
    pub const OWNER: Self = Self(50);
    /// Administrators of the instance.
    pub const ADMIN: Self = Self(60);

    /// GitLab's description of the level in protected-ref answers.
    pub fn description(self) -> &'static str {
        match self.0 {
            0 => "No one",
            5 => "Minimal Access",
            10 => "Guest",
            15 => "Planner",
            20 => "Reporter",
            30 => "Developers + Maintainers",
            40 => "Maintainers",
            50 => "Owner",
            60 => "Instance admins",
            _ => "Custom",
        }
    }
}
