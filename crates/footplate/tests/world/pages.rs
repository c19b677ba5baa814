//! Pages at GitLab's paths: what the API names opens.

use footplate_testkit::{Outcome, ROOT_PASSWORD, TestServer};

#[tokio::test(flavor = "multi_thread")]
async fn every_address_that_the_api_names_opens() {
    let server = TestServer::start().await;
    let project = server
        .project(
            "widget",
            &[(
                ".gitlab-ci.yml",
                "workflow: {name: Named so}\na: {script: ['<b>x</b>']}",
            )],
        )
        .await;
    let pipeline = server.pipeline(project).await;
    let mut runner = server.runner(&[]).await;
    runner.take().await.unwrap();
    runner
        .trace("a", "\u{1b}[31mred <script>alert(1)</script>\u{1b}[0m\n")
        .await
        .expect(202);
    runner.finish("a", Outcome::Success).await.expect(200);
    server.settle().await;
    let job = server
        .root
        .get(&format!("/projects/{project}/jobs"))
        .await
        .json()[0]
        .clone();
    let http = server.root.http();
    let anonymous = http
        .get(job["web_url"].as_str().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(anonymous.status().as_u16(), 303);
    let form = format!(
        "user%5Blogin%5D=root&user%5Bpassword%5D={}",
        ROOT_PASSWORD.replace(' ', "+")
    );
    let send = |body: String| {
        http.post(format!("{}/users/sign_in", server.url))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
            .send()
    };
    assert_eq!(
        send("user%5Blogin%5D=root&user%5Bpassword%5D=wrong".to_owned())
            .await
            .unwrap()
            .status()
            .as_u16(),
        401
    );
    let signed_in = send(form).await.unwrap();
    assert_eq!(signed_in.status().as_u16(), 303);
    let cookie = signed_in.headers()["set-cookie"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
        "{cookie}"
    );
    let cookie = cookie.split(';').next().unwrap().to_owned();
    for url in [
        job["web_url"].clone(),
        pipeline["web_url"].clone(),
        job["pipeline"]["web_url"].clone(),
    ] {
        let page = http
            .get(url.as_str().unwrap())
            .header("cookie", &cookie)
            .send()
            .await
            .unwrap();
        assert_eq!(page.status().as_u16(), 200, "{url}");
        assert!(
            page.headers()["content-security-policy"]
                .to_str()
                .unwrap()
                .starts_with("default-src 'none'")
        );
        let text = page.text().await.unwrap();
        assert!(!text.contains("<script>"), "{text}");
        if url == pipeline["web_url"] {
            assert!(text.contains("Named so"), "{text}");
        }
    }
    // A cookie alone does not write.
    let url = format!(
        "{}/api/v4/projects/{project}/jobs/{}/retry",
        server.url, job["id"]
    );
    let forged = http
        .post(url)
        .header("cookie", &cookie)
        .send()
        .await
        .unwrap();
    assert_eq!(forged.status().as_u16(), 401);
}
