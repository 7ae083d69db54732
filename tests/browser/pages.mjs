// Opens every page of a running console in a real browser: both languages, phone and desktop, light and dark; looks for
// headings, faults of the page, text that runs over the screen, and what axe-core finds. Pictures go to a directory.
//
// node pages.mjs BASE USER CODE DIRECTORY
import { chromium } from "playwright-core";
import { createRequire } from "node:module";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [base, user, code, shots] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const PASSWORD = "correct horse battery";
const PAGES = [
  ["now", "/", "Now", "此刻"],
  ["sync", "/sync", "Sync with head office", "与总部同步"],
  ["why", "/why", "Why this price", "为什么是这个价格"],
  ["campaigns", "/campaigns", "Campaigns", "活动"],
  ["segments", "/segments", "Segments", "客群"],
  ["when", "/when", "When people buy", "购买时段"],
  ["simulator", "/simulator", "Simulator", "试算"],
  ["devices", "/devices", "Devices", "设备"],
  ["health", "/health", "Health", "健康"],
  ["users", "/users", "Users", "用户"],
];
const SIZES = { phone: { width: 390, height: 844 }, desktop: { width: 1280, height: 900 } };
const faults = [];
const fault = (text) => { faults.push(text); console.log(`FAULT ${text}`); };

mkdirSync(shots, { recursive: true });
const profile = mkdtempSync(join(tmpdir(), "aisled-browser-"));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  viewport: SIZES.desktop,
  locale: "en-GB",
});
const page = context.pages()[0] ?? (await context.newPage());
page.on("pageerror", (error) => fault(`script: ${error.message}`));
page.on("console", (message) => { if (message.type() === "error" && !/status of 503/.test(message.text())) fault(`browser: ${message.text()}`); });
page.on("request", (request) => { if (!request.url().startsWith(base)) fault(`asset from elsewhere: ${request.url()}`); });

async function look(name, scheme) {
  await page.emulateMedia({ colorScheme: scheme });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (wide > 1) fault(`${name}: ${wide} px wider than the screen`);
  await page.evaluate(axe);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  for (const of of found.violations.filter((of) => ["serious", "critical"].includes(of.impact))) {
    fault(`${name}: ${of.impact} ${of.id}: ${of.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | ")}`);
  }
  await page.screenshot({ path: join(shots, `${name}-${scheme}.png`), fullPage: true });
}

async function open(path, heading) {
  let status = 503;
  // What is being counted comes by itself a moment later.
  for (let tries = 0; tries < 20 && status === 503; tries++) {
    if (tries) await page.waitForTimeout(3000);
    status = (await page.goto(base + path, { waitUntil: "load" })).status();
  }
  const title = await page.locator("h1").innerText();
  if (status !== 200 || (heading && title !== heading)) fault(`${path}: ${status}, heading ${title}`);
}

// The first sign-in, as a new user does it.
await open("/login?lang=en", "Sign in");
await look("login-en-desktop", "light");
await open("/setup?lang=en", "First sign-in");
await page.fill("input[name=name]", user);
await page.fill("input[name=code]", code);
await page.fill("input[name=password]", PASSWORD);
await page.fill("input[name=again]", PASSWORD);
await Promise.all([page.waitForURL(base + "/"), page.click("button[type=submit]")]);

for (const [lang, place] of [["en", 2], ["zh-CN", 3]]) {
  for (const [size, viewport] of Object.entries(SIZES)) {
    await page.setViewportSize(viewport);
    for (const one of PAGES) {
      await open(`${one[1]}?lang=${lang}`, one[place]);
      const spoken = await page.evaluate(() => document.documentElement.lang);
      if (spoken !== lang) fault(`${one[1]}: spoken ${spoken}, wanted ${lang}`);
      await look(`${one[0]}-${lang}-${size}`, size === "phone" ? "dark" : "light");
    }
  }
}

await page.setViewportSize(SIZES.desktop);
// What the first page weighs, style, script and icon included.
const bare = await context.newPage();
await bare.goto(`${base}/?lang=en`, { waitUntil: "load" });
const weight = await bare.evaluate(() => {
  const parts = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
  return parts.filter((of) => !of.name.includes("/live/")).reduce((sum, of) => sum + of.decodedBodySize, 0);
});
const took = await bare.evaluate(() => {
  const of = performance.getEntriesByType("navigation")[0];
  return Math.round(of.responseEnd - of.startTime);
});
await bare.close();
console.log(`first page: ${weight} bytes, document there after ${took} ms`);
if (weight > 150 * 1024) fault(`the first page weighs ${weight} bytes`);

// A live page is live, and can be held.
await open("/?lang=en", "Now");
const changed = page.evaluate(() => new Promise((done) => {
  const watch = new MutationObserver(() => { watch.disconnect(); done(true); });
  watch.observe(document.getElementById("live"), { childList: true, subtree: true });
  setTimeout(() => done(false), 15000);
}));
if (!(await changed)) fault("the live page stands still");
await page.click("button.pause");
if ((await page.getAttribute("button.pause", "aria-pressed")) !== "true") fault("the live page cannot be held");

// Why: the newest sale, opened.
await open("/why?lang=en", "Why this price");
const sale = page.locator("tr:has-text('sale') th a").first();
if (await sale.count()) {
  await Promise.all([page.waitForURL(/decision=/), sale.click()]);
  if (!(await page.locator("text=Line by line").count())) fault("a sale is not explained line by line");
  await look("why-sale-en-desktop", "light");
} else fault("no sale is among the latest decisions");

// Simulator: the articles of that sale, priced again.
const lines = await page.locator("[aria-label='Line by line'] tbody th").allInnerTexts();
const skus = [...new Set(lines.map((text) => text.trim().split(/\s+/).pop()))].slice(0, 3);
await open("/simulator?lang=en", "Simulator");
await page.fill("textarea[name=basket]", skus.map((sku) => `${sku} × 2`).join("\n") || "1");
await page.click("form.basket button[type=submit]");
await page.waitForLoadState("load");
await look("simulator-priced-en-desktop", "light");
await page.setViewportSize(SIZES.phone);
await look("simulator-priced-en-phone", "dark");

// Printed.
await page.setViewportSize(SIZES.desktop);
await open("/when?lang=zh-CN");
await page.emulateMedia({ media: "print" });
await page.screenshot({ path: join(shots, "when-print.png"), fullPage: true });
await page.emulateMedia({ media: "screen" });

// Without scripts.
const plain = await context.browser()?.newContext({ javaScriptEnabled: false });
if (plain) {
  const still = await plain.newPage();
  await still.goto(base + "/login?lang=en");
  if ((await still.locator("h1").innerText()) !== "Sign in") fault("no page without scripts");
  await plain.close();
}

await context.close();
rmSync(profile, { recursive: true, force: true });
console.log(faults.length ? `${faults.length} faults` : "every page is well");
process.exit(faults.length ? 1 : 0);
