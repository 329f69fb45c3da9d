//! Commands that a person may type, and the same commands typed by `--once`, so that what is printed works.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use gateway_testkit::{Gateway, Tool, in_ci};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use crate::report::Report;

const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A command line.
#[derive(Clone, Debug)]
pub(crate) struct Typed {
    variable: Option<(&'static str, String)>,
    words: Vec<String>,
}

impl Typed {
    pub(crate) fn new<S: Into<String>>(words: impl IntoIterator<Item = S>) -> Self {
        Typed { variable: None, words: words.into_iter().map(Into::into).collect() }
    }

    /// With a variable in front.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variable = Some((name, value.into()));
        self
    }

    /// As it has to be typed.
    pub(crate) fn shell(&self) -> String {
        let variable = self.variable.iter().map(|(name, value)| format!("{name}={}", quoted(value)));
        variable.chain(self.words.iter().map(|word| quoted(word))).collect::<Vec<_>>().join(" ")
    }

    /// What it prints, if it succeeds.
    pub(crate) async fn output(&self) -> Result<String> {
        let running = self.command()?.stdin(Stdio::null()).output();
        let output = tokio::time::timeout(ANSWER_WITHIN, running).await.context("no answer")??;
        if !output.status.success() {
            bail!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Its exit code and what it prints, whether or not it succeeds.
    pub(crate) async fn outcome(&self) -> Result<(Option<i32>, String)> {
        let running = self.command()?.stdin(Stdio::null()).output();
        let output = tokio::time::timeout(ANSWER_WITHIN, running).await.context("no answer")??;
        Ok((output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned()))
    }

    /// Starts it, types a line, and gives the first line that comes back once the second is what was typed.
    pub(crate) async fn greeted(&self) -> Result<String> {
        let mut command = self.command()?;
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut input = child.stdin.take().context("no input")?;
        let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        let exchange = async {
            let greeting = lines.next_line().await?.context("no line")?;
            input.write_all(b"typed by hand\n").await?;
            let echo = lines.next_line().await?.context("no second line")?;
            if echo != "typed by hand" {
                bail!("sent back {echo:?}");
            }
            Ok(greeting)
        };
        let outcome = tokio::time::timeout(ANSWER_WITHIN, exchange).await;
        child.kill().await?;
        outcome.context("no answer")?
    }

    fn command(&self) -> Result<Command> {
        let (program, arguments) = self.words.split_first().context("no command")?;
        let mut command = Command::new(program);
        command.args(arguments).kill_on_drop(true);
        command.envs(self.variable.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }
}

/// `curl -s`, shown short.
pub(crate) fn curl(gateway: &Gateway, page: &str) -> Option<Typed> {
    let admin = gateway.admin().ok()?;
    Some(Typed::new(["curl".to_owned(), "-s".to_owned(), format!("http://{}/{page}", admin.address())]))
}

/// Runs each, where curl is there, and looks whether it answers.
pub(crate) async fn check_pages(pages: &[Typed], report: &mut Report) {
    if !available(report, Tool::Curl) {
        return;
    }
    for page in pages {
        let mut strict = page.clone();
        strict.words.splice(1..1, ["--show-error", "--fail", "--max-time", "10"].map(str::to_owned));
        let output = strict.output().await;
        report.expect(output.is_ok(), &page.shell(), format!("{output:?}"));
    }
}

/// Says it where a program is missing; in CI that is a failure.
pub(crate) fn available(report: &mut Report, tool: Tool) -> bool {
    let found = tool.path().is_some();
    let (program, package) = (tool.program(), tool.package());
    if in_ci() {
        report.expect(found, &format!("{program} is installed"), format!("apt install {package}"));
    } else if !found {
        report.text(&format!("   {program} is not installed: left out (apt install {package})"));
    }
    found
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
