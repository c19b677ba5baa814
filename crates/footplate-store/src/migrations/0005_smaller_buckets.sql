-- Job counts by id / 256 and by id / 16384: where a page begins is found by walking over fewer jobs.
DELETE FROM job_counts;
DELETE FROM job_sums;
INSERT INTO job_counts (project_id, bucket, jobs) SELECT project_id, id / 256, COUNT(*) FROM jobs WHERE kind = 'build' GROUP BY project_id, id / 256;
INSERT INTO job_sums (project_id, bucket, jobs) SELECT project_id, bucket / 64, SUM(jobs) FROM job_counts GROUP BY project_id, bucket / 64;
