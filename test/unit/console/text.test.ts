/** How the console shows text of anybody, lengths of time, and sizes. */
import { describe, expect, it } from "vitest";
import { commandLine } from "../../../common/shell.ts";
import { fillIn } from "../../../console/src/api/fill-in.ts";
import { formatBytes, formatDuration } from "../../../console/src/ui/format.ts";
import { visibleText } from "../../../console/src/ui/visible-text.ts";

describe("text of anybody", () => {
  it("shows what is invisible or reorders what is read as code points, and nothing else", () => {
    expect(visibleText("caf\u00e9 漢字 👩‍🚀")).toBe("café 漢字 👩⟨U+200D⟩🚀");
    expect(visibleText("a\u202eb\u0000c\u001b[2J\nd\u2028e")).toBe("a⟨U+202E⟩b⟨U+0000⟩c⟨U+001B⟩[2J⟨U+000A⟩d⟨U+2028⟩e");
    expect(visibleText("\ud800x")).toBe("⟨U+D800⟩x");
  });

  it("is a command as a shell would need it", () => {
    expect(commandLine(["sh", "-c", "echo 'a b'", ""])).toBe("sh -c 'echo '\\''a b'\\''' ''");
  });

  it("stays within its part of an address", () => {
    const params = { id: "../../admin/drain?x=1#y" };
    expect(fillIn("/-/admin/sessions/{id}/recording", params)).toBe(
      "/-/admin/sessions/..%2F..%2Fadmin%2Fdrain%3Fx%3D1%23y/recording",
    );
    expect(fillIn("/-/admin/sessions", {}, { user: "a&b", pod: "", kind: undefined, recorded: false })).toBe(
      "/-/admin/sessions?user=a%26b&recorded=false",
    );
    for (const id of [".", ".."]) expect(() => fillIn("/-/admin/sessions/{id}", { id })).toThrow(RangeError);
  });
});

it.each([
  [-5, "0 s"],
  [59_999, "59 s"],
  [200_000, "3 min 20 s"],
  [7_500_000, "2 h 5 min"],
  [200_000_000, "2 d 7 h"],
])("%d ms are %s", (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});

it.each([
  [null, "–"],
  [0, "0 B"],
  [999, "999 B"],
  [1_200, "1.2 kB"],
  [64_000_000, "64.0 MB"],
  [5e12, "5.0 TB"],
])("%d bytes are %s", (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});
