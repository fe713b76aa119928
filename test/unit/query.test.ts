import { describe, expect, test } from "vitest";
import { requiredFieldValue } from "../../kubernetes/field-selector.ts";
import { getBooleanParameter, getParameter, parseQuery } from "../../kubernetes/query.ts";

describe("a query is parsed as Go does", () => {
  test.each<[string, [string, string[]][], boolean]>([
    ["", [], false],
    ["?", [], false],
    [
      "?a=1&a=2&b",
      [
        ["a", ["1", "2"]],
        ["b", [""]],
      ],
      false,
    ],
    [
      "a=1&&b=2&",
      [
        ["a", ["1"]],
        ["b", ["2"]],
      ],
      false,
    ],
    ["a=b=c", [["a", ["b=c"]]], false],
    ["=x", [["", ["x"]]], false],
    ["a+b=c+d%2B", [["a b", ["c d+"]]], false],
    ["command=%C3%A4%20%F0%9F%98%80", [["command", ["ä 😀"]]], false],
    ["%EF%BB%BFtty=1", [["\ufefftty", ["1"]]], false],
    ["watch=%ff", [["watch", ["\ufffd"]]], false],
    ["command=a;b&tty=1", [["tty", ["1"]]], true],
    ["tty=%zz&stdin=1", [["stdin", ["1"]]], true],
    ["%=1", [], true],
    ["command=a%3Bb", [["command", ["a;b"]]], false],
  ])("%s", (search, values, isMalformed) => {
    const query = parseQuery(search);
    expect([...query.values]).toEqual(values);
    expect(query.isMalformed).toBe(isMalformed);
  });

  test("the first of several values counts", () => {
    expect(getParameter(parseQuery("container=a&container=b"), "container")).toBe("a");
  });
});

describe("a boolean parameter is read as apimachinery does", () => {
  test.each([
    ["", false],
    ["tty=0", false],
    ["tty=false", false],
    ["tty=False", false],
    ["tty=FALSE", false],
    ["tty=0&tty=1", false],
    ["TTY=true", false],
    ["tty=true", true],
    ["tty=1", true],
    ["tty=True", true],
    ["tty", true],
    ["tty=", true],
    ["tty=no", true],
    ["tty=00", true],
    ["tty=%20false", true],
    ["tty=1&tty=0", true],
  ])("%s is %s", (search, expected) => {
    expect(getBooleanParameter(parseQuery(search), "tty")).toBe(expected);
  });
});

describe("the value that a field selector requires of metadata.name", () => {
  test.each([
    ["metadata.name=web", "web"],
    ["metadata.name==web", "web"],
    ["status.phase!=Failed,metadata.name=web", "web"],
    ["metadata.name=b,metadata.name=a", "a"],
    ["metadata.name=a\\,b\\=c\\\\d", "a,b=c\\d"],
    [",metadata.name=web,", "web"],
    ["metadata.name=", ""],
    ["", undefined],
    ["metadata.name!=web", undefined],
    ["metadata.namespace=web", undefined],
    ["metadata.name=web,nonsense", undefined],
    ["metadata.name=a=b", undefined],
    ["metadata.name=a\\x", undefined],
    ["metadata.name=a\\", undefined],
    [" metadata.name=web", undefined],
  ])("%s gives %j", (selector, value) => {
    expect(requiredFieldValue(selector, "metadata.name")).toBe(value);
  });
});
