import { describe, expect, test } from "vitest";
import { refusalMessage } from "../../kubernetes/refusal-message.ts";
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
