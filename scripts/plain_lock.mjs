// Take the addresses out of package-lock.json: `npm run lock` calls this after a change of versions.
// npm leaves out where packages come from by itself (.npmrc), but not where their authors take gifts.

import { readFileSync, writeFileSync } from "node:fs";

const file = new URL("../package-lock.json", import.meta.url);
const lock = JSON.parse(readFileSync(file, "utf8"));
for (const entry of Object.values(lock.packages)) delete entry.funding;
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
