// A short walk through the app in Firefox, as a person takes it: play, step, share, paste.
//     node tests/firefox/walk.mjs ADDRESS FIREFOX

import puppeteer from "puppeteer-core";

const [address, executablePath] = process.argv.slice(2);
const LONGEST = 90_000; // a busy machine is slow, not wrong
const SNIPPET = `import torch
from torch.nn import functional as F
print(F.conv_transpose1d(torch.tensor([[[2., 1.]]]), torch.tensor([[[3., 5.]]])))
`;

const complaints = [];
const browser = await puppeteer.launch({ browser: "firefox", executablePath });
try {
  await walk(await opened("/"));
} finally {
  await browser.close();
}
if (complaints.length) throw new Error(complaints.join("\n"));

async function opened(path) {
  const page = await browser.newPage();
  page.setDefaultTimeout(LONGEST);
  await page.setViewport({ width: 1280, height: 900 });
  page.on("pageerror", (error) => complaints.push(`page error: ${error}`));
  await page.goto(address + path, { waitUntil: "domcontentloaded" });
  return page;
}

async function walk(page) {
  await steps(page);
  await plays(page);
  await shares(page);
  await pastes(await opened("/Explain"), await copied(SNIPPET));
}

async function steps(page) {
  await page.locator("aria/Step forward").click();
  await reads(page, ".ct-readout", "MAC 1 of 72");
  await page.keyboard.press("ArrowRight");
  await reads(page, ".ct-readout", "MAC 2 of 72");
  await reads(page, ".ct-sentence", "y[0,0,");
}

async function plays(page) {
  await page.select('select[aria-label="Speed"]', "60");
  await page.locator("aria/Play").click();
  await reads(page, ".ct-readout", "MAC 72 of 72");
  await reads(page, 'figure[data-panel="output"] [data-cell="12"]', "10");
  await reads(page, ".ct-verdict", "equals torch");
}

async function shares(page) {
  await page.locator(".ct-share").click();
  await page.locator('img[alt="QR code of the link"]').wait();
  const copy = page.locator(">>> .copy-button");
  await copy.click();
  await copy.filter((button) => button.textContent === "Copied").wait();
}

/** Put a text on the clipboard, by keys. */
async function copied(text) {
  const page = await browser.newPage();
  await page.setContent("<textarea></textarea>");
  await page.$eval("textarea", (area, value) => (area.value = value), text);
  await page.focus("textarea");
  await withControl(page, "a", "c");
}

async function pastes(page) {
  await page.locator(">>> textarea[aria-label='Your snippet']").click();
  await withControl(page, "a", "v", "Enter");
  await reads(page, "[class*=st-key-answer_]", "y[0,0,0] = 2*3 = 6");
}

async function withControl(page, ...keys) {
  await page.keyboard.down("Control");
  for (const key of keys) await page.keyboard.press(key);
  await page.keyboard.up("Control");
}

/** Wait until a place on the page reads a text. */
async function reads(page, selector, text) {
  const there = (place, wanted) =>
    [...globalThis.document.querySelectorAll(place)].some((one) =>
      one.textContent.includes(wanted),
    );
  try {
    await page.waitForFunction(there, {}, selector, text);
  } catch (error) {
    const found = await page.$$eval(selector, (all) => all.map((one) => one.textContent));
    throw new Error(`${selector} reads ${JSON.stringify(found)}, not "${text}"`, { cause: error });
  }
}
