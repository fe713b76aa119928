import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { COMMANDS } from "../../tools/cli/commands.ts";
import { generatedFiles } from "../../tools/docs-generate/files.ts";
import { fillGenerated } from "../../tools/docs-generate/generated-parts.ts";

describe("the generated documentation", () => {
  it.each(generatedFiles(COMMANDS))("$path is current", async ({ path, render }) => {
    const text = existsSync(path) ? readFileSync(path, "utf8") : "";
    expect(await render(text), "run `npx sallyport docs-generate`").toBe(text);
  });
});

describe("a document with generated parts", () => {
  const page = "a\n<!-- generated:one by hand -->\nold\n<!-- /generated:one -->\nb";

  it("is changed between its marks only", () => {
    expect(fillGenerated(page, { one: "new" })).toBe(page.replace("old", "new"));
    expect(fillGenerated(page.replace("old\n", ""), { one: "new" })).toBe(page.replace("old", "new"));
  });

  it("has a mark for each part and a part for each mark", () => {
    expect(() => fillGenerated(page, {})).toThrow("nothing generates the part one");
    expect(() => fillGenerated(page, { one: "", two: "" })).toThrow("no marks for two");
  });
});
