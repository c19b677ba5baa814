-- Job counts once more by id / 65536, so that a page at any depth is found by looking at a few rows however many jobs there are.
CREATE TABLE job_sums (
  project_id BIGINT_ NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
  bucket BIGINT_ NOT NULL,
  jobs BIGINT_ NOT NULL,
  PRIMARY KEY (project_id, bucket)
) $STRICT;
INSERT INTO job_sums (project_id, bucket, jobs) SELECT project_id, bucket / 64, SUM(jobs) FROM job_counts GROUP BY project_id, bucket / 64;
