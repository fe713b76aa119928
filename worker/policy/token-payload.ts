/** A person or program as a request's sender, described by whoever asks instead of by Access. */
export interface Sender {
  /** An email address, or `service:<common name>`. */
  readonly who: string;
  /** Names are dotted for nested claims. */
  readonly claims: readonly (readonly [name: string, value: string])[];
  readonly country: string | undefined;
}

const SERVICE = "service:";

/** The payload of the Access token that the sender would have. Pure. */
export function tokenPayload({ who, claims, country }: Sender): Record<string, unknown> {
  const payload: Record<string, unknown> = { type: "app", sub: "explained", ...(country !== undefined && { country }) };
  for (const [name, value] of claims) addClaim(payload, name.split("."), value);
  if (who.startsWith(SERVICE)) return { ...payload, sub: "", common_name: who.slice(SERVICE.length) };
  return { ...payload, email: who };
}

/** A claim that is given several times becomes a list. */
function addClaim(object: Record<string, unknown>, [key = "", ...rest]: readonly string[], value: string): void {
  const before = Object.hasOwn(object, key) ? object[key] : undefined;
  if (rest.length > 0) {
    const inner: Record<string, unknown> = typeof before === "object" && before !== null ? { ...before } : {};
    addClaim(inner, rest, value);
    object[key] = inner;
  } else {
    object[key] = before === undefined ? value : [before, value].flat();
  }
}
