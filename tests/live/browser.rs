//! The pages in a real browser, without a window: nothing on its console, no request to anywhere, nothing wider than the
//! screen of a phone, charts with their names, and text that can be read in light and dark. Chromium is driven through
//! WebDriver (<https://www.w3.org/TR/webdriver2/>).

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use sockbench::testing::sys::{Child, Stderr};

use crate::followers::Followed;
use crate::support::{describe, namespaces_work};
use crate::until::until;

/// Widths of a phone and of a desk, CSS pixels.
const WIDTHS: [u32; 2] = [390, 1280];
/// WCAG 2.2, 1.4.3: text beside its background.
const CONTRAST_MIN: f64 = 4.5;

const ARGUMENTS: [&str; 9] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// Text with too little contrast, as `[ratio, text]`. A background is that of the nearest element that has one.
const FAINT: &str = r"
    const rgb = c => { const m = c.match(/[\d.]+/g).map(Number); return { v: m.slice(0, 3), a: m.length > 3 ? m[3] : 1 }; };
    const lum = v => { const [r, g, b] = v.map(x => { x /= 255; return x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4; });
                       return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
    const behind = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.a === 1) return c.v; }
                          return [255, 255, 255]; };
    const faint = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const e = walker.currentNode.parentElement, text = walker.currentNode.textContent.trim();
        if (!text || ['SCRIPT', 'STYLE', 'title', 'TITLE', 'desc'].includes(e.tagName) || !e.getClientRects().length) continue;
        const style = getComputedStyle(e);
        const front = rgb(e.ownerSVGElement ? style.fill : style.color);
        if (front.a === 0 || style.visibility === 'hidden') continue;
        const [a, b] = [lum(front.v), lum(behind(e))].sort((x, y) => y - x);
        const ratio = (a + 0.05) / (b + 0.05);
        if (ratio < arguments[0]) faint.push([ratio, text.slice(0, 40), e.tagName, e.getAttribute('class')]);
    }
    return faint;";

/// What is wider than the page and does not scroll by itself.
const WIDE: &str = r"
    const wide = [document.documentElement.scrollWidth, window.innerWidth];
    return wide[0] <= wide[1] ? [] : [wide, [...document.querySelectorAll('body *')]
        .filter(e => e.getBoundingClientRect().right > window.innerWidth + 1).slice(0, 5).map(e => e.tagName + '.' + e.getAttribute('class'))];";

/// Names of the pictures as a reader who cannot see them hears them; empty where one has none.
const NAMES: &str = r"
    return [...document.querySelectorAll('figure svg[role=img]')].map(e => {
        const by = (e.getAttribute('aria-labelledby') || '').split(' ').filter(x => x).map(id => document.getElementById(id));
        return by.map(t => t ? t.textContent : '').join(' ').trim();
    });";

/// A browser under WebDriver. It ends with this value.
struct Browser {
    _driver: Child,
    session: String,
}

impl Browser {
    /// None where there is none here, said aloud.
    fn start() -> Option<Self> {
        for program in ["chromedriver", "chromium"] {
            if !Command::new(program).arg("--version").output().is_ok_and(|out| out.status.success()) {
                crate::loud::skipped(format!("{program} is not installed"));
                return None;
            }
        }
        let mut command = Command::new("chromedriver");
        command.arg("--port=0");
        let mut driver = Child::start(command, Stderr::Keep).unwrap();
        let port: u16 = loop {
            let line = driver.read_line(Duration::from_secs(30)).unwrap();
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                break port.trim().trim_end_matches('.').parse().unwrap();
            }
        };
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": ARGUMENTS},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }}});
        let all = format!("http://127.0.0.1:{port}/session");
        let made = post(&all, &wanted);
        let session = format!("{all}/{}", made["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {made}")));
        Some(Self { _driver: driver, session })
    }

    fn ask(&self, what: &str, body: &Value) -> Value {
        post(&format!("{}/{what}", self.session), body)
    }

    fn devtools(&self, command: &str, parameters: &Value) {
        self.ask("goog/cdp/execute", &json!({"cmd": command, "params": parameters}));
    }

    fn run(&self, script: &str, arguments: &Value) -> Value {
        self.ask("execute/sync", &json!({"script": script, "args": arguments}))
    }

    /// Shows a file as wide as `width`, in light or dark.
    fn show(&self, file: &Path, width: u32, scheme: &str) {
        self.open(&format!("file://{}", file.display()), width, scheme);
    }

    fn open(&self, url: &str, width: u32, scheme: &str) {
        let screen = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600});
        self.devtools("Emulation.setDeviceMetricsOverride", &screen);
        let scheme = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.devtools("Emulation.setEmulatedMedia", &scheme);
        self.ask("url", &json!({"url": url}));
    }

    /// Whom the browser asked for something since the last time, but for the file itself.
    fn asked(&self) -> Vec<String> {
        let log = self.ask("se/log", &json!({"type": "performance"}));
        let events = log.as_array().unwrap().iter().map(|e| serde_json::from_str(e["message"].as_str().unwrap()).unwrap());
        let urls = events.filter_map(|event: Value| {
            let event = &event["message"];
            (event["method"] == "Network.requestWillBeSent")
                .then(|| event["params"]["request"]["url"].as_str().unwrap().to_owned())
        });
        urls.filter(|url| !url.starts_with("file://") && !url.starts_with("data:")).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends its browser only when it is asked to.
        let _ = ureq::delete(&self.session).call();
    }
}

fn post(url: &str, body: &Value) -> Value {
    let answer = ureq::post(url).send_json(body);
    let document: Value = answer.unwrap_or_else(|e| panic!("{url}: {e}: {body}")).body_mut().read_json().unwrap();
    document["value"].clone()
}

/// `sockbench LINE` in `dir`; what it writes there is what counts.
fn sockbench(dir: &Path, line: &str) {
    let words = shlex::split(line).unwrap();
    let out = Command::new(env!("CARGO_BIN_EXE_sockbench")).current_dir(dir).env("XDG_STATE_HOME", dir).args(words).output();
    let out = out.unwrap();
    assert!(out.status.success(), "{line}: {}", describe(&out));
}

#[test]
fn pages_are_whole_in_a_real_browser() {
    let Some(browser) = Browser::start() else { return };
    if !namespaces_work() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let few_ports = "--sandbox --sysctl net.ipv4.ip_local_port_range='40000 40099' --sysctl net.ipv4.tcp_tw_reuse=0";
    let own = "--server cpu-iterations=1 --server io-sleep=5ms -q";
    for line in [
        format!("load {few_ports} --no-keepalive -c 4 --think 20ms -d 3s --mix /health {own} -o one --html exhausted.html"),
        format!("load {few_ports} --no-keepalive -c 4 --think 20ms -d 3s --mix /health {own} -o two"),
        format!("study --users 1,2 -d 2s --mix /health=1,/io=2,/cpu=1 {own} --html study.html"),
        "rehearse -q --html rehearsal.html".to_owned(),
        "compare one two --across-environments --html compared.html".to_owned(),
    ] {
        sockbench(dir.path(), &line);
    }
    for (page, charts) in [("exhausted", 8), ("study", 8), ("rehearsal", 1), ("compared", 1)] {
        let file = dir.path().join(format!("{page}.html"));
        for (width, scheme) in WIDTHS.into_iter().flat_map(|w| ["light", "dark"].map(|s| (w, s))) {
            let at = format!("{page}, {width} px, {scheme}");
            browser.show(&file, width, scheme);
            assert_eq!(browser.asked(), Vec::<String>::new(), "{at}: requests");
            assert_eq!(browser.ask("se/log", &json!({"type": "browser"})), json!([]), "{at}: console");
            assert_eq!(browser.run(WIDE, &json!([])), json!([]), "{at}: too wide");
            let names: Vec<String> = serde_json::from_value(browser.run(NAMES, &json!([]))).unwrap();
            assert!(names.len() >= charts && names.iter().all(|n| !n.is_empty()), "{at}: charts and their names: {names:?}");
            assert_eq!(browser.run(FAINT, &json!([CONTRAST_MIN])), json!([]), "{at}: contrast");
            assert_ne!(browser.run(FAINT, &json!([21.1])), json!([]), "{at}: nothing has more contrast than black on white");
        }
    }
}

/// The page of a run that goes on fills itself, keeps what its reader has switched off, and ends as the report does.
#[test]
fn a_live_page_fills_itself_in_a_real_browser() {
    let Some(browser) = Browser::start() else { return };
    let run = Followed::start("load -c 4 --think 20ms -d 8s --mix /health");
    let url = format!("http://{}/", run.addr);
    browser.open(&url, 390, "dark");
    let text = |css: &str| browser.run(&format!("return document.querySelector('{css}')?.textContent ?? ''"), &json!([]));
    let mut seen = std::collections::BTreeSet::new();
    until("three seconds came by themselves", || {
        let heading = text("h1").as_str().unwrap().to_owned();
        seen.extend(heading.starts_with("running, ").then_some(heading));
        seen.len() >= 3
    });
    let switch = "return document.querySelector('#chart-response-times .legend button')";
    browser.run(&format!("{}.click()", switch.trim_start_matches("return ")), &json!([]));
    let all = browser.run("return document.querySelectorAll('figure svg[role=img]').length", &json!([]));
    assert!(all.as_u64().unwrap() >= 8, "charts: {all}");
    assert_eq!(browser.run(WIDE, &json!([])), json!([]), "too wide");
    assert_eq!(browser.run(FAINT, &json!([CONTRAST_MIN])), json!([]), "contrast");
    until("the end", || text("h1").as_str().is_some_and(|h| !h.is_empty() && !h.starts_with("running, ")));
    let pressed = browser.run(&format!("{switch}?.getAttribute('aria-pressed')"), &json!([]));
    assert_eq!(pressed, "false", "a curve that was switched off stays off");
    assert_ne!(text("#findings, #requests"), "", "it is the page of --html");
    assert_eq!(browser.ask("se/log", &json!({"type": "browser"})), json!([]), "console");
    let asked = browser.asked();
    assert!(asked.iter().all(|to| to.starts_with(&url)), "whom it asked: {asked:?}");
}
