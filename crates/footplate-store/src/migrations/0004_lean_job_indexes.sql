-- A job that no runner took yet does not stand in the index of runners. Nothing asks jobs for the expiry of their artifacts:
-- that stands with the artifacts.
DROP INDEX jobs_runner;
CREATE INDEX jobs_runner ON jobs (runner_id, id DESC) WHERE runner_id IS NOT NULL;
DROP INDEX jobs_expiry;
