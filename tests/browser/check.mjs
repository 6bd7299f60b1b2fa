// What tests/browser/run does in the browser.
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, rmSync, writeFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import assert from "node:assert/strict";
import { serve } from "./serve.mjs";

const COLOURS = ["ff0000", "00ff00", "0000ff", "ffff00", "ff00ff", "00ffff", "ffffff", "808080", "ff8000", "800080"];
const SECONDS_EACH = 4;
const TONE_HZ = 440;
const TITLE = 'Tom & <b>Jerry</b> "{{film}}"';

const [folder, oggflv] = process.argv.slice(2);
if (folder === "colours") {
  console.log(COLOURS.map((colour) => `0x${colour}`).join("\n"));
  process.exit();
}
const { chromium } = createRequire(resolve(folder, "x"))("playwright-core");
const path = (...parts) => join(folder, ...parts);
const step = (text) => console.log(`${(performance.now() / 1000).toFixed(1).padStart(5)} s  ${text}`);

function makePage(name, film, ...options) {
  rmSync(path(name), { recursive: true, force: true });
  const ruffle = path("node_modules/@ruffle-rs/ruffle");
  execFileSync(oggflv, ["page", film, "--out-dir", path(name), "--ruffle", ruffle, ...options], { stdio: "inherit" });
  return path(name);
}

const browser = await chromium.launch({
  executablePath: execFileSync("which", ["chromium"], { encoding: "utf8" }).trim(),
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});

/// Opens a page whose sound is listened to. What the browser complains about is kept.
async function open(url, context = {}) {
  const page = await browser.newPage({ viewport: { width: 480, height: 560 }, ...context });
  page.complaints = [];
  page.on("pageerror", (error) => page.complaints.push(error.message));
  page.on("console", (line) => /Content Security Policy|Refused to/.test(line.text()) && page.complaints.push(line.text()));
  await page.addInitScript(() => {
    const { connect } = AudioNode.prototype;
    AudioNode.prototype.connect = function (to, ...rest) {
      if (to instanceof AudioDestinationNode) {
        this.context.ear ??= new AnalyserNode(this.context, { fftSize: 8192 });
        window.ear = this.context.ear;
        connect.call(this, this.context.ear);
      }
      return connect.call(this, to, ...rest);
    };
    window.hear = () => {
      const samples = new Float32Array(window.ear.fftSize);
      const levels = new Float32Array(window.ear.frequencyBinCount);
      window.ear.getFloatTimeDomainData(samples);
      window.ear.getFloatFrequencyData(levels);
      const loudest = levels.indexOf(Math.max(...levels));
      return {
        peak: Math.max(...samples.map(Math.abs)),
        hertz: (loudest * window.ear.context.sampleRate) / window.ear.fftSize,
      };
    };
  });
  await page.goto(url);
  return page;
}

const state = (page) => page.locator("#player").getAttribute("data-state");
const time = (page) => page.getByRole("slider", { name: "Position" }).evaluate((bar) => bar.valueAsNumber);

async function until(what, condition, seconds = 40) {
  const end = performance.now() + seconds * 1000;
  while (!(await condition())) {
    assert(performance.now() < end, `not within ${seconds} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const plays = (page) => until("plays", async () => (await state(page)) === "playing" && (await time(page)) > 0);

/// RGB samples of what is seen where the pictures are, of `width` times `height`.
async function seen(page, width, height) {
  const png = await page.locator(".picture").screenshot({ style: ".controls, .start { visibility: hidden }" });
  const scale = ["-vf", `scale=${width}:${height}:flags=area`, "-pix_fmt", "rgb24", "-f", "rawvideo", "-"];
  return execFileSync("ffmpeg", ["-v", "error", "-i", "-", ...scale], { input: png });
}

/// The number of the colour that is seen in the upper left quarter; -1 if it is none of them.
async function colour(page) {
  const samples = await seen(page, 32, 24);
  const [x, y] = [8, 5];
  const rgb = [...samples.subarray(3 * (32 * y + x), 3 * (32 * y + x) + 3)];
  const isNear = (colour) => rgb.every((sample, i) => Math.abs(sample - parseInt(colour.slice(2 * i, 2 * i + 2), 16)) < 28);
  return COLOURS.findIndex(isNear);
}

/// The colour belongs to the time that is shown; it has changed meanwhile at most once.
async function assertColour(page) {
  const before = Math.floor((await time(page)) / SECONDS_EACH - 0.1);
  const found = await colour(page);
  const after = Math.floor((await time(page)) / SECONDS_EACH + 0.1);
  assert(found >= before && found <= after, `colour ${found}, not ${before} to ${after}`);
  return found;
}

/// It plays from a key frame near there, at most a few seconds later.
async function goesTo(page, seconds, loading = 0) {
  await until(`goes to ${seconds} s`, async () => Math.abs((await time(page)) - seconds - 1) <= 3, 10);
  await plays(page);
  await showsIt(page, loading);
}

/// A key moves it by so many seconds or to the next key frame.
async function moves(page, key, seconds) {
  const wanted = (await time(page)) + seconds;
  await page.keyboard.press(key);
  const isThere = async () => Math.abs((await time(page)) - wanted) < Math.min(3, Math.abs(seconds) / 2);
  await until(`${key} goes to ${wanted} s`, isThere, 10);
  await showsIt(page);
}

/// The picture follows the time that is shown, on a busy machine after a while, and not before so many seconds of `loading`.
async function showsIt(page, loading = 0) {
  await page.waitForTimeout(300);
  const isRight = () => assertColour(page).then(() => true, () => false);
  await until("shows the picture of the place it went to", isRight, 5 + loading);
}

async function assertSilent(page) {
  await until("silent", async () => (await page.evaluate(() => window.hear().peak)) < 0.001, 5);
}

async function assertTone(page) {
  await until("the tone", async () => {
    const { peak, hertz } = await page.evaluate(() => window.hear());
    return peak > 0.1 && Math.abs(hertz - TONE_HZ) < 12;
  }, 10);
}

// ---- In its own folder

const home = await serve(makePage("page", path("film.flv")));
const page = await open(`${home.origin}/`);
assert.equal(await page.title(), TITLE);
assert.equal(await page.getByRole("heading").textContent(), TITLE);
assert.equal(await page.locator("h1 *").count(), 0);
assert.equal(await page.locator(".facts span").allTextContents().then(String), "0:40,320 × 240");
assert(await page.locator(".poster").evaluate((image) => image.complete && image.naturalWidth === 320));
assert(!home.requests.some((request) => /wasm|flv|swf/.test(request)), "nothing large is loaded before it is played");
await page.screenshot({ path: path("page-new.png") });
await page.getByRole("button", { name: "Play Tom" }).click();
await plays(page);
const colours = new Set();
await until("the colour changes", async () => colours.add(await assertColour(page)).size > 2);
step(`plays with the right colours: ${[...colours].map((number) => COLOURS[number])}`);

await assertTone(page);
await page.keyboard.press("m");
await assertSilent(page);
await page.getByRole("button", { name: "Unmute" }).click();
await assertTone(page);
step("the tone is heard, unless it is muted");

await page.keyboard.press("7");
await goesTo(page, 28);
await moves(page, "ArrowLeft", -5);
await moves(page, "j", -10);
await moves(page, "l", 10);
await page.keyboard.press("2");
await goesTo(page, 8);
const bar = await page.getByRole("slider", { name: "Position" }).boundingBox();
await page.mouse.click(bar.x + bar.width * 0.6, bar.y + bar.height / 2);
await goesTo(page, 24);
await page.mouse.click(bar.x + bar.width * 0.2, bar.y + bar.height / 2);
await goesTo(page, 8);
await assertTone(page);
step("goes forwards and backwards by keyboard and mouse");

await page.keyboard.press("k");
await until("pauses", async () => (await state(page)) === "paused");
await assertSilent(page);
const paused = await time(page);
await page.waitForTimeout(600);
assert.equal(await time(page), paused);
await page.keyboard.press("8");
await until("shows the place", async () => (await colour(page)) === 8);
assert.equal(await state(page), "paused");
await page.getByRole("button", { name: "Play", exact: true }).focus();
await page.keyboard.press("Space");
await goesTo(page, 32);
step("pauses, shows pictures of other places meanwhile, and goes on");

await page.keyboard.press("f");
await until("full screen", () => page.evaluate(() => document.fullscreenElement?.id === "player"));
await page.keyboard.press("f");
await until("no full screen", () => page.evaluate(() => !document.fullscreenElement));
await page.keyboard.press("9");
await until("the end", async () => (await state(page)) === "ended");
await page.getByRole("button", { name: "Play Tom" }).click();
await goesTo(page, 0);
assert.deepEqual(page.complaints, []);
await page.close();
step("ends, and begins again");

// ---- In a frame of another page

writeFileSync(path("page/frame.html"), '<iframe src="./" width="400" height="250" style="border: 0"></iframe>');
const outer = await open(`${home.origin}/frame.html`);
const frame = outer.frameLocator("iframe");
await frame.getByRole("button", { name: "Play Tom" }).waitFor();
const box = await frame.locator("body").evaluate(() => document.querySelector(".player").getBoundingClientRect().toJSON());
assert.deepEqual([box.x, box.y, box.width, box.height], [0, 0, 400, 250]);
assert(!(await frame.getByRole("heading").isVisible()));
await outer.close();
step("fills a frame");

// ---- On a phone

const phone = await open(`${home.origin}/index.html#t=18`, {
  viewport: { width: 320, height: 640 },
  hasTouch: true,
  isMobile: true,
  deviceScaleFactor: 1,
});
assert(await phone.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "it is too wide");
await phone.screenshot({ path: path("phone-new.png") });
await phone.getByRole("button", { name: "Play Tom" }).tap();
await plays(phone);
await phone.screenshot({ path: path("phone-playing.png") });
await until("a place far from a key frame", async () => (await time(phone)) % 2 > 1.6);
await phone.getByRole("button", { name: "Pause" }).tap();
await until("pauses", async () => (await state(phone)) === "paused");
assert((await time(phone)) > 17, "it does not begin where the address says");
await phone.waitForTimeout(300);
// Chroma is not compared: at sharp edges it depends on how it is scaled up.
const luma = (rgb) => Float32Array.from({ length: rgb.length / 3 }, (_, i) => 0.299 * rgb[3 * i] + 0.587 * rgb[3 * i + 1] + 0.114 * rgb[3 * i + 2]);
const picture = luma(await seen(phone, 320, 240));
const around = (await time(phone)) - 0.5;
const rgb = ["-vf", `trim=${around}:${around + 1}`, "-vsync", "0", "-pix_fmt", "rgb24", "-f", "rawvideo", "-"];
const decoded = luma(execFileSync("ffmpeg", ["-v", "error", "-i", path("film.flv"), ...rgb], { maxBuffer: 1 << 28 }));
const psnrs = [];
for (let start = 0; start + picture.length <= decoded.length; start += picture.length) {
  const squares = picture.reduce((sum, sample, i) => sum + (sample - decoded[start + i]) ** 2, 0);
  psnrs.push(10 * Math.log10((255 ** 2 * picture.length) / squares));
}
assert(psnrs.length > 10, "pictures to compare with");
const psnr = Math.max(...psnrs);
assert(psnr > 40, `what is seen is ${psnr} dB from what ffmpeg decodes`);
assert.deepEqual(phone.complaints, []);
await phone.close();
step(`on a phone, ${psnr.toFixed(1)} dB from what ffmpeg decodes`);

// ---- The film on another origin

mkdirSync(path("elsewhere"), { recursive: true });
copyFileSync(path("film.flv"), path("elsewhere/film.flv"));
const cors = { headers: { "Access-Control-Allow-Origin": "*" }, bytesPerSecond: 400_000 };
for (const hasRanges of [true, false]) {
  const elsewhere = await serve(path("elsewhere"), { ...cors, hasRanges });
  const here = await serve(makePage("page-elsewhere", path("film.flv"), "--url", `${elsewhere.origin}/film.flv`));
  assert(!existsSync(path("page-elsewhere/film.flv")));
  const far = await open(`${here.origin}/`);
  await far.getByRole("button", { name: "Play Tom" }).click();
  await plays(far);
  await assertColour(far);
  await far.keyboard.press("7");
  // Without ranges, all that lies before has to come first.
  await goesTo(far, 28, hasRanges ? 0 : (28 / 40) * (statSync(path("elsewhere/film.flv")).size / cors.bytesPerSecond));
  await assertTone(far);
  const ranges = elsewhere.requests.filter((request) => /bytes=\d{7}-$/.test(request));
  assert.equal(ranges.length, 1, `it asks for what follows a place ahead: ${elsewhere.requests}`);
  await far.keyboard.press("3");
  await goesTo(far, 12);
  assert.deepEqual(far.complaints, []);
  await far.close();
  elsewhere.close();
  here.close();
  step(`plays from another origin over a slow line, ${hasRanges ? "with" : "without"} ranges`);
}

// ---- What goes wrong is said

const withoutCors = await serve(path("elsewhere"));
for (const [url, message] of [
  [`${withoutCors.origin}/film.flv`, /does not allow .* \(Access-Control-Allow-Origin\)/],
  [`/missing.flv`, /the server answers 404/],
  [`/index.html`, /is no FLV file/],
]) {
  const wrong = await serve(makePage("page-wrong", path("film.flv"), "--url", url));
  const page = await open(`${wrong.origin}/`);
  await page.getByRole("button", { name: "Play Tom" }).click();
  await until("says what is wrong", async () => message.test(await page.locator(".message").textContent()));
  if (url.startsWith("http")) await page.screenshot({ path: path("page-error.png") });
  await page.close();
  wrong.close();
}
rmSync(path("page-wrong/ruffle/ruffle.js"));
const bare = await serve(path("page-wrong"));
const without = await open(`${bare.origin}/`);
await without.getByRole("button", { name: "Play Tom" }).click();
await until("misses Ruffle", async () => /ruffle\/ruffle\.js/.test(await without.locator(".message").textContent()));
step("says what is wrong");

await browser.close();
for (const server of [home, withoutCors, bare]) server.close();
