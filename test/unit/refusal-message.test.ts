import { describe, expect, test } from "vitest";
import { readRefusal, refusalMessage } from "../../kubernetes/refusal-message.ts";
import { failureStatus, MAX_STATUS_BYTES } from "../../kubernetes/status.ts";

describe("the message of a refusal", () => {
  test.each([
    [
      "a Status",
      JSON.stringify(failureStatus({ reason: "NotFound", message: 'pods "x" not found' })),
      'pods "x" not found',
    ],
    ["JSON with a message", '{"message":"quota exceeded"}', "quota exceeded"],
    ["plain text", "container not found\n", "container not found"],
    ["text that only looks like JSON", "[sh] is not running", "[sh] is not running"],
    ["text with commands to a terminal", "no\u001b[2J\r\nentry\u0007", "no [2J entry"],
    ["a long text", "x".repeat(5_000), `${"x".repeat(1_024)}…`],
    ["a long text, cut inside a character", `x${"🚪".repeat(1_000)}`, `x${"🚪".repeat(511)}\uFFFD…`],
  ])("is what the body says: %s", (_, body, message) => {
    expect(refusalMessage(403, body)).toBe(message);
  });

  test.each([
    ["no body", ""],
    ["white space", " \r\n"],
    ["control characters", "\u0000\u0007"],
    ["a page", "<!DOCTYPE html><title>Not Found</title>"],
    ["a Status without a message", '{"kind":"Status","status":"Failure","message":""}'],
    ["a message that is no text", '{"message":{"a":1}}'],
    ["other JSON", '["no"]'],
    ["null in JSON", '{"message":null}'],
    ["a text in JSON", '"no"'],
    ["more than anybody says", `{"message":"${"x".repeat(MAX_STATUS_BYTES)}"}`],
  ])("is what the status code says where the body says nothing: %s", (_, body) => {
    expect(refusalMessage(404, body)).toBe("the cluster answered 404 without saying why");
  });
});

describe("a refusal for a terminal", () => {
  test("keeps all that a Status says, but for what acts on the terminal", () => {
    const details = {
      name: "x\u001b]0;owned\u0007",
      kind: "pods",
      causes: [{ message: "a\u009b2Jb", field: "größe" }],
    };
    const said = { ...failureStatus({ reason: "NotFound", message: 'pods "\u202ex" not\r\nfound' }), details };
    const { body, contentType, message } = readRefusal(404, JSON.stringify(said));
    expect(message).toBe('pods " x" not found');
    expect(contentType).toBe("application/json");
    expect(body).not.toMatch(/\p{C}|\\u/u);
    expect(JSON.parse(body)).toEqual({
      ...said,
      message,
      details: { name: "x ]0;owned", kind: "pods", causes: [{ message: "a 2Jb", field: "größe" }] },
    });
  });

  test("of the API server reaches the client unchanged", () => {
    const said = failureStatus({
      reason: "Forbidden",
      message: 'pods "shell" is forbidden: User "alice@example.com" cannot create resource "pods/exec"',
      details: { name: "shell", kind: "pods" },
    });
    expect(JSON.parse(readRefusal(403, `${JSON.stringify(said)}\n`).body)).toEqual(said);
  });

  test.each([
    ["plain text", "container not\u001b[2J found\n", "container not [2J found"],
    ["no body", "", "the cluster answered 500 without saying why"],
    ["a page", "<html><script>", "the cluster answered 500 without saying why"],
    ["broken JSON", '{"message":"\u0007', '{"message":"'],
  ])("that is no JSON object is its message: %s", (_, body, shown) => {
    expect(readRefusal(500, body)).toEqual({ message: shown, body: shown, contentType: "text/plain; charset=utf-8" });
  });
});
