// Messages for the tests, made by Python as the app makes them: TEST_PYTHON names another interpreter.

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const OWN = path.join(ROOT, ".venv", "bin", "python");
const PYTHON = process.env.TEST_PYTHON ?? (existsSync(OWN) ? OWN : "python3");

/** Every message of tests/make_scenes.py: {kind, about, names, output, message}. */
export function messages() {
  const folder = mkdtempSync(path.join(tmpdir(), "scenes-"));
  try {
    execFileSync(PYTHON, [path.join(ROOT, "tests", "make_scenes.py"), folder], {
      env: { ...process.env, PYTHONPATH: ROOT },
      stdio: ["ignore", "inherit", "inherit"],
    });
    const listed = JSON.parse(readFileSync(path.join(folder, "scenes.json"), "utf8"));
    return listed.map((entry) => ({
      ...entry,
      message: new Uint8Array(readFileSync(path.join(folder, entry.file))),
    }));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
