/** Pictures of the console in the documents: each is made by the script, small, and used. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { MAX_PICTURE_BYTES, PICTURES } from "../../dev/screenshots/pictures.ts";

const FOLDER = "docs/screenshots";
const guide = readFileSync("docs/CONSOLE.md", "utf8");
const readme = readFileSync("README.md", "utf8");

describe("docs/screenshots", () => {
  it("has the pictures that the script makes, and no other", () => {
    expect(readdirSync(FOLDER).sort()).toEqual(PICTURES.map(({ name }) => `${name}.png`).sort());
  });

  it.each(PICTURES.map(({ name, alt }) => [name, alt] as const))("%s is a small picture, in the guide", (name, alt) => {
    const file = `${FOLDER}/${name}.png`;
    expect(readFileSync(file).subarray(1, 4).toString()).toBe("PNG");
    expect(statSync(file).size).toBeLessThanOrEqual(MAX_PICTURE_BYTES);
    expect(guide).toContain(`![${alt}](screenshots/${name}.png)`);
  });

  it("has one of the dark colours, and one that the README begins with", () => {
    expect(PICTURES.some(({ colorScheme }) => colorScheme === "dark")).toBe(true);
    expect(readme.slice(0, readme.indexOf("\n## "))).toMatch(/!\[[^\]]+\]\(docs\/screenshots\/\w+\.png\)/);
  });
});

describe("the console's pages", () => {
  it("are all in the table of docs/GUIDE.md", () => {
    const source = readFileSync("console/src/pages/index.ts", "utf8");
    const entries = source
      .slice(source.indexOf("PAGES"))
      .split(/^ {2}\{$/m)
      .slice(1);
    const listed = entries.filter((entry) => !entry.includes("isListed: false"));
    const titles = listed.map((entry) => /title: "([^"]+)"/.exec(entry)?.[1]);
    expect(titles).toEqual(expect.arrayContaining(["Live", "Sessions"]));
    const table = readFileSync("docs/GUIDE.md", "utf8").split("### Use the console")[1];
    for (const title of titles) expect(table, title).toContain(`\n| ${title} | `);
  });
});
