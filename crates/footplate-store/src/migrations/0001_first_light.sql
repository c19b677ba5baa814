-- Tokens are rendered per engine by migrate.rs: $ID BIGINT_ BOOL_ TIMESTAMP_ REAL_ BYTES_ $STRICT

CREATE TABLE instance_settings (
  key TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
) $STRICT;

CREATE TABLE namespaces (
  id $ID,
  user_id BIGINT_,
  name TEXT NOT NULL,
  path TEXT NOT NULL,
  full_path TEXT NOT NULL,
  full_name TEXT NOT NULL,
  parent_id BIGINT_ REFERENCES namespaces (id),
  description TEXT NOT NULL DEFAULT '',
  visibility TEXT NOT NULL,
  shared_runners_enabled BOOL_ NOT NULL DEFAULT TRUE,
  created_at TIMESTAMP_ NOT NULL
) $STRICT;
CREATE UNIQUE INDEX namespaces_full_path ON namespaces (lower(full_path));
CREATE INDEX namespaces_parent ON namespaces (parent_id);

CREATE TABLE users (
  id $ID,
  username TEXT NOT NULL,
  name TEXT NOT NULL,
  email TEXT NOT NULL,
  password_hash TEXT,
  state TEXT NOT NULL,
  admin BOOL_ NOT NULL DEFAULT FALSE,
  bot BOOL_ NOT NULL DEFAULT FALSE,
  namespace_id BIGINT_ NOT NULL REFERENCES namespaces (id),
  created_at TIMESTAMP_ NOT NULL
) $STRICT;
CREATE UNIQUE INDEX users_username ON users (lower(username));
CREATE UNIQUE INDEX users_email ON users (lower(email));

CREATE TABLE sessions (
  token_hash BYTES_ NOT NULL PRIMARY KEY,
  user_id BIGINT_ NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  csrf_token TEXT NOT NULL,
  created_at TIMESTAMP_ NOT NULL,
  expires_at TIMESTAMP_ NOT NULL
) $STRICT;
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_end ON sessions (expires_at);

CREATE TABLE projects (
  id $ID,
  namespace_id BIGINT_ NOT NULL REFERENCES namespaces (id),
  creator_id BIGINT_,
  name TEXT NOT NULL,
  path TEXT NOT NULL,
  full_path TEXT NOT NULL,
  full_name TEXT NOT NULL,
  description TEXT NOT NULL DEFAULT '',
  visibility TEXT NOT NULL,
  default_branch TEXT,
  archived BOOL_ NOT NULL DEFAULT FALSE,
  topics TEXT NOT NULL DEFAULT '[]',
  settings TEXT NOT NULL,
  pipeline_iid BIGINT_ NOT NULL DEFAULT 0,
  created_at TIMESTAMP_ NOT NULL,
  updated_at TIMESTAMP_ NOT NULL,
  last_activity_at TIMESTAMP_ NOT NULL,
  deleting BOOL_ NOT NULL DEFAULT FALSE
) $STRICT;
CREATE UNIQUE INDEX projects_full_path ON projects (lower(full_path));
CREATE INDEX projects_namespace ON projects (namespace_id);

CREATE TABLE project_redirects (
  full_path TEXT NOT NULL PRIMARY KEY,
  project_id BIGINT_ NOT NULL REFERENCES projects (id) ON DELETE CASCADE
) $STRICT;
CREATE INDEX project_redirects_project ON project_redirects (project_id);

CREATE TABLE access_tokens (
  id $ID,
  user_id BIGINT_ NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  token_hash BYTES_ NOT NULL,
  name TEXT NOT NULL,
  description TEXT NOT NULL DEFAULT '',
  scopes TEXT NOT NULL,
  project_id BIGINT_ REFERENCES projects (id) ON DELETE CASCADE,
  group_id BIGINT_ REFERENCES namespaces (id) ON DELETE CASCADE,
  family_id BIGINT_,
  impersonation BOOL_ NOT NULL DEFAULT FALSE,
  revoked BOOL_ NOT NULL DEFAULT FALSE,
  created_at TIMESTAMP_ NOT NULL,
  last_used_at TIMESTAMP_,
  expires_at TIMESTAMP_
) $STRICT;
CREATE UNIQUE INDEX access_tokens_hash ON access_tokens (token_hash);
CREATE INDEX access_tokens_user ON access_tokens (user_id);
CREATE INDEX access_tokens_project ON access_tokens (project_id);
CREATE INDEX access_tokens_group ON access_tokens (group_id);
CREATE INDEX access_tokens_family ON access_tokens (family_id);

CREATE TABLE project_members (
  project_id BIGINT_ NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
  user_id BIGINT_ NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  access_level BIGINT_ NOT NULL,
  created_at TIMESTAMP_ NOT NULL,
  created_by BIGINT_,
  expires_at TIMESTAMP_,
  PRIMARY KEY (project_id, user_id)
) $STRICT;
CREATE INDEX project_members_user ON project_members (user_id);

CREATE TABLE group_members (
  group_id BIGINT_ NOT NULL REFERENCES namespaces (id) ON DELETE CASCADE,
  user_id BIGINT_ NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  access_level BIGINT_ NOT NULL,
  created_at TIMESTAMP_ NOT NULL,
  created_by BIGINT_,
  expires_at TIMESTAMP_,
  PRIMARY KEY (group_id, user_id)
) $STRICT;
CREATE INDEX group_members_user ON group_members (user_id);

CREATE TABLE protected_refs (
  id $ID,
  project_id BIGINT_ NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
  tag BOOL_ NOT NULL,
  name TEXT NOT NULL,
  push_access_level BIGINT_ NOT NULL,
  merge_access_level BIGINT_ NOT NULL,
  allow_force_push BOOL_ NOT NULL DEFAULT FALSE,
  created_at TIMESTAMP_ NOT NULL
) $STRICT;
CREATE UNIQUE INDEX protected_refs_name ON protected_refs (project_id, tag, name);

CREATE TABLE ci_variables (
  id $ID,
  group_id BIGINT_ REFERENCES namespaces (id) ON DELETE CASCADE,
  project_id BIGINT_ REFERENCES projects (id) ON DELETE CASCADE,
  key TEXT NOT NULL,
  value BYTES_ NOT NULL,
  variable_type TEXT NOT NULL,
  protected BOOL_ NOT NULL DEFAULT FALSE,
  masked BOOL_ NOT NULL DEFAULT FALSE,
  hidden BOOL_ NOT NULL DEFAULT FALSE,
  raw BOOL_ NOT NULL DEFAULT FALSE,
  environment_scope TEXT NOT NULL DEFAULT '*',
  description TEXT
) $STRICT;
CREATE UNIQUE INDEX ci_variables_key ON ci_variables (coalesce(project_id, 0), coalesce(group_id, 0), key, environment_scope);
CREATE INDEX ci_variables_project ON ci_variables (project_id);
CREATE INDEX ci_variables_group ON ci_variables (group_id);

CREATE TABLE pipelines (
  id $ID,
  iid BIGINT_ NOT NULL,
  project_id BIGINT_ NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
  ref TEXT NOT NULL,
  tag BOOL_ NOT NULL,
  sha TEXT NOT NULL,
  before_sha TEXT NOT NULL,
  source TEXT NOT NULL,
  user_id BIGINT_,
  status TEXT NOT NULL,
  protected BOOL_ NOT NULL,
  name TEXT,
  yaml_errors TEXT,
  failure_reason TEXT,
  on_job_failure TEXT NOT NULL,
  on_new_commit TEXT NOT NULL,
  source_job_id BIGINT_,
  parent_id BIGINT_,
  depth BIGINT_ NOT NULL DEFAULT 0,
  auto_canceled_by BIGINT_,
  committed_at TIMESTAMP_,
  created_at TIMESTAMP_ NOT NULL,
  updated_at TIMESTAMP_ NOT NULL,
  started_at TIMESTAMP_,
  finished_at TIMESTAMP_,
  duration BIGINT_,
  lock_version BIGINT_ NOT NULL DEFAULT 0,
  push_intent_key TEXT
) $STRICT;
CREATE UNIQUE INDEX pipelines_iid ON pipelines (project_id, iid);
-- Child pipelines are hidden from lists by default: page and count read this index alone.
CREATE INDEX pipelines_project ON pipelines (project_id, id DESC) WHERE source <> 'parent_pipeline';
CREATE INDEX pipelines_ref ON pipelines (project_id, ref, id DESC);
CREATE INDEX pipelines_sha ON pipelines (project_id, sha, id DESC);
CREATE INDEX pipelines_status ON pipelines (project_id, status, id DESC);
CREATE INDEX pipelines_updated ON pipelines (project_id, updated_at);
CREATE INDEX pipelines_parent ON pipelines (parent_id);
CREATE INDEX pipelines_source_job ON pipelines (source_job_id);
CREATE UNIQUE INDEX pipelines_push_intent ON pipelines (push_intent_key);
CREATE INDEX pipelines_alive ON pipelines (updated_at)
  WHERE status IN ('created', 'waiting_for_resource', 'preparing', 'waiting_for_callback', 'pending', 'running', 'canceling', 'scheduled');

CREATE TABLE pipeline_facts (
  pipeline_id BIGINT_ NOT NULL PRIMARY KEY REFERENCES pipelines (id) ON DELETE CASCADE,
  variables BYTES_ NOT NULL,
  inputs TEXT NOT NULL DEFAULT '{}',
  why TEXT NOT NULL
) $STRICT;

-- The flight recorder: what was decided, in order, one row a transaction.
CREATE TABLE pipeline_events (
  pipeline_id BIGINT_ NOT NULL REFERENCES pipelines (id) ON DELETE CASCADE,
  position BIGINT_ NOT NULL,
  recorded_at TIMESTAMP_ NOT NULL,
  event TEXT NOT NULL,
  PRIMARY KEY (pipeline_id, position)
) $STRICT;

CREATE TABLE stages (
  id $ID,
  pipeline_id BIGINT_ NOT NULL REFERENCES pipelines (id) ON DELETE CASCADE,
  position BIGINT_ NOT NULL,
  name TEXT NOT NULL,
  status TEXT NOT NULL
) $STRICT;
CREATE UNIQUE INDEX stages_position ON stages (pipeline_id, position);

CREATE TABLE job_definitions (
  id $ID,
  pipeline_id BIGINT_ NOT NULL REFERENCES pipelines (id) ON DELETE CASCADE,
  definition TEXT NOT NULL
) $STRICT;
CREATE INDEX job_definitions_pipeline ON job_definitions (pipeline_id);

CREATE TABLE jobs (
  id $ID,
  kind TEXT NOT NULL,
  project_id BIGINT_ NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
  pipeline_id BIGINT_ NOT NULL REFERENCES pipelines (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  stage TEXT NOT NULL,
  stage_idx BIGINT_ NOT NULL,
  status TEXT NOT NULL,
  when_ TEXT NOT NULL,
  allow_failure BOOL_ NOT NULL,
  scheduling_type TEXT NOT NULL,
  needs TEXT NOT NULL DEFAULT '[]',
  ref TEXT NOT NULL,
  tag BOOL_ NOT NULL,
  protected BOOL_ NOT NULL,
  user_id BIGINT_,
  tag_list TEXT NOT NULL DEFAULT '[]',
  definition_id BIGINT_ NOT NULL REFERENCES job_definitions (id),
  start_in BIGINT_,
  environment TEXT,
  resource_group TEXT,
  interruptible BOOL_ NOT NULL DEFAULT FALSE,
  retried BOOL_ NOT NULL DEFAULT FALSE,
  processed BOOL_ NOT NULL DEFAULT FALSE,
  enqueue_immediately BOOL_ NOT NULL DEFAULT FALSE,
  exit_code BIGINT_,
  failure_reason TEXT,
  coverage REAL_,
  coverage_regex TEXT,
  created_at TIMESTAMP_ NOT NULL,
  updated_at TIMESTAMP_ NOT NULL,
  queued_at TIMESTAMP_,
  started_at TIMESTAMP_,
  finished_at TIMESTAMP_,
  scheduled_at TIMESTAMP_,
  erased_at TIMESTAMP_,
  erased_by BIGINT_,
  runner_id BIGINT_,
  runner_manager_id BIGINT_,
  timeout BIGINT_,
  timeout_source TEXT,
  acked_at TIMESTAMP_,
  graceful_cancel BOOL_ NOT NULL DEFAULT FALSE,
  debug BOOL_ NOT NULL DEFAULT FALSE,
  has_trace BOOL_ NOT NULL DEFAULT FALSE,
  trace_size BIGINT_,
  trace_resends BIGINT_ NOT NULL DEFAULT 0,
  artifacts TEXT NOT NULL DEFAULT '[]',
  artifacts_expire_at TIMESTAMP_,
  artifacts_access BIGINT_ NOT NULL DEFAULT 0,
  downstream_pipeline_id BIGINT_,
  bridge_errors TEXT,
  target_url TEXT,
  description TEXT
) $STRICT;
CREATE INDEX jobs_project ON jobs (project_id, id DESC) WHERE kind = 'build';
CREATE INDEX jobs_project_status ON jobs (project_id, status, id DESC) WHERE kind = 'build';
CREATE INDEX jobs_pipeline ON jobs (pipeline_id, id DESC);
CREATE INDEX jobs_runner ON jobs (runner_id, id DESC);
CREATE INDEX jobs_scheduled ON jobs (scheduled_at) WHERE status = 'scheduled';
CREATE INDEX jobs_waiting ON jobs (project_id, resource_group, pipeline_id) WHERE resource_group IS NOT NULL AND status IN ('created', 'scheduled', 'waiting_for_resource');
CREATE INDEX jobs_expiry ON jobs (artifacts_expire_at);
CREATE INDEX jobs_definition ON jobs (definition_id);

-- Script jobs of a project by id / 1024, so that a page at any depth is found without walking there.
CREATE TABLE job_counts (
  project_id BIGINT_ NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
  bucket BIGINT_ NOT NULL,
  jobs BIGINT_ NOT NULL,
  PRIMARY KEY (project_id, bucket)
) $STRICT;

CREATE TABLE job_variables (
  id $ID,
  job_id BIGINT_ NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  key TEXT NOT NULL,
  value BYTES_ NOT NULL,
  dotenv BOOL_ NOT NULL DEFAULT FALSE,
  variable_type TEXT NOT NULL DEFAULT 'env_var',
  raw BOOL_ NOT NULL DEFAULT FALSE
) $STRICT;
CREATE UNIQUE INDEX job_variables_key ON job_variables (job_id, dotenv, key);

CREATE TABLE job_artifacts (
  id $ID,
  job_id BIGINT_ NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  project_id BIGINT_ NOT NULL,
  file_type TEXT NOT NULL,
  file_format TEXT,
  filename TEXT NOT NULL,
  size BIGINT_ NOT NULL,
  sha256 TEXT NOT NULL,
  blob_key TEXT NOT NULL,
  expire_at TIMESTAMP_,
  locked BOOL_ NOT NULL DEFAULT FALSE,
  created_at TIMESTAMP_ NOT NULL
) $STRICT;
CREATE UNIQUE INDEX job_artifacts_type ON job_artifacts (job_id, file_type);
CREATE INDEX job_artifacts_expiry ON job_artifacts (expire_at) WHERE locked = FALSE;
CREATE INDEX job_artifacts_project ON job_artifacts (project_id);
CREATE UNIQUE INDEX job_artifacts_blob ON job_artifacts (blob_key);

CREATE TABLE runners (
  id $ID,
  runner_type TEXT NOT NULL,
  group_id BIGINT_ REFERENCES namespaces (id) ON DELETE CASCADE,
  project_id BIGINT_,
  creator_id BIGINT_,
  token_hash BYTES_ NOT NULL,
  short_token TEXT NOT NULL,
  legacy BOOL_ NOT NULL DEFAULT FALSE,
  description TEXT NOT NULL DEFAULT '',
  maintenance_note TEXT,
  paused BOOL_ NOT NULL DEFAULT FALSE,
  locked BOOL_ NOT NULL DEFAULT FALSE,
  run_untagged BOOL_ NOT NULL DEFAULT TRUE,
  access_level TEXT NOT NULL,
  maximum_timeout BIGINT_,
  tag_list TEXT NOT NULL DEFAULT '[]',
  created_at TIMESTAMP_ NOT NULL,
  contacted_at TIMESTAMP_,
  token_expires_at TIMESTAMP_,
  polled BOOL_ NOT NULL DEFAULT FALSE
) $STRICT;
CREATE UNIQUE INDEX runners_token ON runners (token_hash);
CREATE INDEX runners_group ON runners (group_id);

-- Legacy registration: the instance's (neither id), a group's, a project's.
CREATE TABLE registration_tokens (
  id $ID,
  group_id BIGINT_ REFERENCES namespaces (id) ON DELETE CASCADE,
  project_id BIGINT_ REFERENCES projects (id) ON DELETE CASCADE,
  token_hash BYTES_ NOT NULL,
  token BYTES_ NOT NULL,
  created_at TIMESTAMP_ NOT NULL
) $STRICT;
CREATE UNIQUE INDEX registration_tokens_hash ON registration_tokens (token_hash);
CREATE UNIQUE INDEX registration_tokens_owner ON registration_tokens (coalesce(project_id, 0), coalesce(group_id, 0));
CREATE INDEX registration_tokens_project ON registration_tokens (project_id);
CREATE INDEX registration_tokens_group ON registration_tokens (group_id);

CREATE TABLE runner_projects (
  runner_id BIGINT_ NOT NULL REFERENCES runners (id) ON DELETE CASCADE,
  project_id BIGINT_ NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
  PRIMARY KEY (runner_id, project_id)
) $STRICT;
CREATE INDEX runner_projects_project ON runner_projects (project_id);

CREATE TABLE runner_managers (
  id $ID,
  runner_id BIGINT_ NOT NULL REFERENCES runners (id) ON DELETE CASCADE,
  system_id TEXT NOT NULL,
  name TEXT,
  version TEXT,
  revision TEXT,
  platform TEXT,
  architecture TEXT,
  executor TEXT,
  ip_address TEXT,
  features TEXT NOT NULL DEFAULT '{}',
  labels TEXT NOT NULL DEFAULT '{}',
  created_at TIMESTAMP_ NOT NULL,
  contacted_at TIMESTAMP_
) $STRICT;
CREATE UNIQUE INDEX runner_managers_system ON runner_managers (runner_id, system_id);

-- Pending script jobs that runners may take; a claim deletes the row (compare-and-swap).
CREATE TABLE job_queue (
  job_id BIGINT_ NOT NULL PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
  project_id BIGINT_ NOT NULL,
  pipeline_id BIGINT_ NOT NULL,
  tags_key TEXT NOT NULL,
  protected BOOL_ NOT NULL,
  instance_runners BOOL_ NOT NULL,
  group_runners BOOL_ NOT NULL,
  queued_at TIMESTAMP_ NOT NULL
) $STRICT;
CREATE INDEX job_queue_tags ON job_queue (tags_key, job_id);
CREATE INDEX job_queue_project ON job_queue (project_id, tags_key, job_id);
CREATE INDEX job_queue_age ON job_queue (queued_at);

-- Executing script jobs: the only place where a job token is valid.
CREATE TABLE running_jobs (
  job_id BIGINT_ NOT NULL PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
  project_id BIGINT_ NOT NULL,
  runner_id BIGINT_ NOT NULL,
  instance_runner BOOL_ NOT NULL,
  token_hash BYTES_ NOT NULL,
  token BYTES_ NOT NULL,
  acked BOOL_ NOT NULL DEFAULT FALSE,
  started_at TIMESTAMP_ NOT NULL,
  seen_at TIMESTAMP_ NOT NULL,
  timeout BIGINT_ NOT NULL
) $STRICT;
CREATE UNIQUE INDEX running_jobs_token ON running_jobs (token_hash);
CREATE INDEX running_jobs_project ON running_jobs (project_id);
CREATE INDEX running_jobs_runner ON running_jobs (runner_id);

CREATE TABLE resource_groups (
  id $ID,
  project_id BIGINT_ NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
  key TEXT NOT NULL,
  process_mode TEXT NOT NULL,
  holder_job_id BIGINT_,
  created_at TIMESTAMP_ NOT NULL,
  updated_at TIMESTAMP_ NOT NULL
) $STRICT;
CREATE UNIQUE INDEX resource_groups_key ON resource_groups (project_id, key);
CREATE INDEX resource_groups_holder ON resource_groups (holder_job_id);

CREATE TABLE environments (
  id $ID,
  project_id BIGINT_ NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  slug TEXT NOT NULL,
  tier TEXT NOT NULL,
  state TEXT NOT NULL,
  external_url TEXT,
  created_at TIMESTAMP_ NOT NULL,
  updated_at TIMESTAMP_ NOT NULL
) $STRICT;
CREATE UNIQUE INDEX environments_name ON environments (project_id, name);

CREATE TABLE push_intents (
  id $ID,
  project_id BIGINT_ NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
  user_id BIGINT_ NOT NULL,
  updates TEXT NOT NULL,
  options TEXT NOT NULL,
  created_at TIMESTAMP_ NOT NULL
) $STRICT;
CREATE INDEX push_intents_project ON push_intents (project_id);

CREATE TABLE tasks (
  id $ID,
  kind TEXT NOT NULL,
  payload TEXT NOT NULL,
  run_at TIMESTAMP_ NOT NULL,
  leased_until TIMESTAMP_,
  attempts BIGINT_ NOT NULL DEFAULT 0,
  last_error TEXT
) $STRICT;
CREATE INDEX tasks_due ON tasks (run_at);

CREATE TABLE agents (
  id $ID,
  project_id BIGINT_ NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  created_by_user_id BIGINT_,
  created_at TIMESTAMP_ NOT NULL
) $STRICT;
CREATE UNIQUE INDEX agents_name ON agents (project_id, name);

CREATE TABLE agent_tokens (
  id $ID,
  agent_id BIGINT_ NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
  token_hash BYTES_ NOT NULL,
  name TEXT NOT NULL,
  description TEXT,
  revoked BOOL_ NOT NULL DEFAULT FALSE,
  created_by_user_id BIGINT_,
  created_at TIMESTAMP_ NOT NULL,
  last_used_at TIMESTAMP_
) $STRICT;
CREATE UNIQUE INDEX agent_tokens_hash ON agent_tokens (token_hash);
CREATE INDEX agent_tokens_agent ON agent_tokens (agent_id);

CREATE TABLE agent_authorizations (
  id $ID,
  agent_id BIGINT_ NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
  project_id BIGINT_,
  group_id BIGINT_,
  configuration TEXT NOT NULL
) $STRICT;
CREATE INDEX agent_authorizations_agent ON agent_authorizations (agent_id);
CREATE INDEX agent_authorizations_project ON agent_authorizations (project_id);
CREATE INDEX agent_authorizations_group ON agent_authorizations (group_id);

CREATE TABLE job_token_allowlist (
  project_id BIGINT_ NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
  target_project_id BIGINT_ NOT NULL DEFAULT 0,
  target_group_id BIGINT_ NOT NULL DEFAULT 0,
  PRIMARY KEY (project_id, target_project_id, target_group_id)
) $STRICT;
