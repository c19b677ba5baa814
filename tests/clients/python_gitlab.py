"""python-gitlab does what the jobs pages describe, on a server that this file starts.

Usage: python_gitlab.py PATH_OF_FOOTPLATE
"""
import json
import subprocess
import sys
import tempfile
import time

import gitlab
import requests

CONFIG = """
stages: [build, test, deploy]
build:
  stage: build
  script: [echo built, mkdir -p out, echo hi > out/a.txt]
  artifacts: {paths: [out]}
test:
  stage: test
  script: [exit 3]
  allow_failure: true
ship:
  stage: deploy
  when: manual
  script: ['echo "to $WHERE"']
child:
  stage: deploy
  trigger: {include: child.yml}
"""
CHILD = "inner: {script: [echo inner]}\n"


def wait(condition, what):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError(f"waited in vain for {what}")


def check(gl, url):
    project = gl.projects.create({"path": "widget"})
    project.commits.create({
        "branch": "main", "commit_message": "first",
        "actions": [{"action": "create", "file_path": name, "content": text} for name, text in [(".gitlab-ci.yml", CONFIG), ("child.yml", CHILD)]],
    })
    pipeline = project.pipelines.list(get_all=False)[0]
    wait(lambda: {job.name: job.status for job in pipeline.jobs.list(get_all=True)}.get("ship") == "manual", "the manual job")
    wait(lambda: len(project.jobs.list(per_page=100, get_all=False)) == 4, "the child pipeline")
    names = [job.name for job in project.jobs.list(iterator=True, per_page=1)]
    assert set(names) == {"build", "test", "ship", "inner"} and len(names) == 4, names
    keyset = [job.id for job in project.jobs.list(iterator=True, pagination="keyset", order_by="id", sort="desc", per_page=2)]
    assert keyset == sorted(keyset, reverse=True) and len(keyset) == 4, keyset
    failed = project.jobs.list(scope=["failed"], get_all=True)
    assert [job.name for job in failed] == ["test"] and failed[0].failure_reason == "script_failure", failed
    jobs = {job.name: project.jobs.get(job.id) for job in pipeline.jobs.list(get_all=True)}
    assert b"built" in jobs["build"].trace()
    assert jobs["build"].artifact("out/a.txt") == b"hi\n"
    assert jobs["build"].artifacts()[:2] == b"PK"
    jobs["build"].keep_artifacts()
    bridges = pipeline.bridges.list(get_all=True)
    assert bridges[0].downstream_pipeline["project_id"] == project.id, bridges
    retried = jobs["test"].retry()
    assert retried["id"] != jobs["test"].id
    wait(lambda: project.jobs.get(retried["id"]).status == "failed", "the retried job")
    assert len(pipeline.jobs.list(include_retried=True, get_all=True)) == len(pipeline.jobs.list(get_all=True)) + 1
    # Keyword arguments of `play` go into the query, where a list of objects cannot be written: the body can.
    path = f"/projects/{project.id}/jobs/{jobs['ship'].id}/play"
    played = gl.http_post(path, post_data={"job_variables_attributes": [{"key": "WHERE", "value": "moon"}]})
    assert played["name"] == "ship"
    wait(lambda: b"to moon" in project.jobs.get(jobs["ship"].id).trace(), "the played job")
    wait(lambda: project.jobs.get(jobs["ship"].id).status == "success", "the end of the played job")
    again = jobs["build"].retry()
    project.jobs.get(again["id"]).cancel()
    wait(lambda: project.jobs.get(again["id"]).status in ("canceled", "success"), "the canceled job")
    jobs["ship"].erase()
    try:
        jobs["ship"].erase()
        raise AssertionError("erased twice")
    except gitlab.exceptions.GitlabJobEraseError as error:
        assert error.response_code == 403, error
    try:
        project.jobs.get(999999)
        raise AssertionError("found")
    except gitlab.exceptions.GitlabGetError as error:
        assert error.response_code == 404 and error.error_message == "404 Not found", error
    answer = requests.get(f"{url}/api/v4/job", headers={"JOB-TOKEN": "glcbt-none"}, timeout=10)
    assert answer.status_code == 401, answer.text
    try:
        gitlab.Gitlab(url, private_token="glpat-wrong").auth()
        raise AssertionError("let in")
    except gitlab.exceptions.GitlabAuthenticationError:
        pass


def check_lint(gl):
    project = gl.projects.create({"path": "linted"})
    own = "build: {script: [make], rules: [{when: always}]}\nship: {script: [ship], when: manual}\n"
    project.commits.create({
        "branch": "main", "commit_message": "first",
        "actions": [{"action": "create", "file_path": ".gitlab-ci.yml", "content": own}],
    })
    found = project.ci_lint.get()
    assert found.valid and found.errors == [] and found.includes == [], found
    assert len(found.warnings) == 1 and found.warnings[0].startswith("jobs:build may allow multiple pipelines"), found.warnings
    assert found.merged_yaml.startswith("---\nbuild:\n"), found.merged_yaml
    assert "jobs" not in found.attributes
    jobs = {job["name"]: job["when"] for job in project.ci_lint.get(include_jobs=True).jobs}
    assert jobs == {"build": "on_success", "ship": "manual"}, jobs
    dry = project.ci_lint.get(dry_run=True, dry_run_ref="main", content_ref="main", include_jobs=True)
    assert dry.valid and [job["name"] for job in dry.jobs] == ["build", "ship"], dry
    # The same text says the same, whether it is the project's file or is sent.
    sent = project.ci_lint.create({"content": own})
    assert sent.attributes == found.attributes, (sent.attributes, found.attributes)
    project.ci_lint.validate({"content": own})
    faulty = {"content": "a: {script: x, tag: y}\nb: {script: x, when: soon}\n"}
    errors = [
        "jobs:a config contains unknown keys: tag",
        "jobs:b when should be one of: on_success, on_failure, always, manual, delayed",
    ]
    found = project.ci_lint.create(faulty)
    assert not found.valid and found.errors == errors, found.errors
    dry = project.ci_lint.create({**faulty, "dry_run": True, "ref": "main"})
    assert not dry.valid and dry.errors == errors[:1], dry.errors
    try:
        project.ci_lint.validate(faulty)
        raise AssertionError("valid")
    except gitlab.exceptions.GitlabCiLintError as error:
        assert error.error_message == ",\n".join(errors), error
    try:
        # Lint without a project was removed in GitLab 16.
        gl.ci_lint.create(faulty)
        raise AssertionError("checked without a project")
    except gitlab.exceptions.GitlabCreateError as error:
        assert error.response_code == 404, error


def main():
    binary = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        environment = {"FOOTPLATE_ROOT_TOKEN": "glpat-python", "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": folder}
        server = subprocess.Popen([binary, "serve", "--listen", "127.0.0.1:0", "--data", f"{folder}/data"], stdout=subprocess.PIPE, text=True, env=environment)
        runner = None
        try:
            url = server.stdout.readline().split()[-1]
            gl = gitlab.Gitlab(url, private_token="glpat-python")
            gl.auth()
            assert gl.user.username == "root"
            token = gl.http_post("/user/runners", post_data={"runner_type": "instance_type", "run_untagged": True})["token"]
            runner = subprocess.Popen([binary, "runner", "--url", url, "--folder", f"{folder}/runner"], stdin=subprocess.PIPE, text=True, env=environment)
            runner.stdin.write(token + "\n")
            runner.stdin.flush()
            check(gl, url)
            check_lint(gl)
        finally:
            for process in filter(None, [runner, server]):
                process.terminate()
                process.wait(timeout=30)
    print("python-gitlab: all calls of the jobs pages, and lint")


if __name__ == "__main__":
    main()
