-- The oldest job of a project is one step away, whatever its tags.
CREATE INDEX job_queue_project_age ON job_queue (project_id, job_id);
DROP INDEX job_queue_project;
