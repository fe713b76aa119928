import { describe, expect, it } from "vitest";
import { readSignIn } from "../../worker/access/sign-in.ts";

const PERSON = { email: "alice@example.com", claims: {} };
const MACHINE = { email: undefined, claims: { common_name: "ci" } };
const DEVICE = "0f4b4e5a-7c2f-4b0e-9d0a-000000000001";

describe("how somebody signed in", () => {
  it.each<[string, Parameters<typeof readSignIn>, object]>([
    ["a service token", [MACHINE], { kind: "service_token", deviceId: null }],
    ["a person of whom only the token tells", [PERSON], { kind: null, deviceId: null }],
    ["a device in the token", [{ ...PERSON, claims: { device_id: DEVICE } }], { kind: null, deviceId: DEVICE }],
    [
      "the Cloudflare One client",
      [PERSON, { is_warp: true, device_id: DEVICE, idp: { type: "azureAD" } }],
      { kind: "warp", deviceId: DEVICE },
    ],
    [
      "an identity provider, with the empty texts that Access writes",
      [PERSON, { is_warp: false, is_gateway: false, device_id: "", idp: { id: "1", type: "onetimepin" } }],
      { kind: "onetimepin", deviceId: null },
    ],
    // Only an exact value counts, and nothing inherited.
    ["odd values", [PERSON, { is_warp: "true", device_id: 7, idp: "azureAD" }], { kind: null, deviceId: null }],
    ["a prototype", [PERSON, Object.create({ device_id: DEVICE, is_warp: true })], { kind: null, deviceId: null }],
  ])("%s", (_, given, expected) => {
    expect(readSignIn(...given)).toEqual(expected);
  });

  it("is bounded and clean, whatever Access says", () => {
    const { kind, deviceId } = readSignIn(PERSON, {
      device_id: `a\u001b[2J${"x".repeat(500)}`,
      idp: { type: "b\r\nc" },
    });
    expect([kind, deviceId?.length]).toEqual(["b\ufffd\ufffdc", 64]);
    expect(deviceId).toMatch(/^a\ufffd\[2Jx+$/);
  });
});
