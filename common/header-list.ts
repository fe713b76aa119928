/**
 * The members of a header that is a list (RFC 9110, section 5.6.1), in order, without the empty ones.
 * `Headers` joins by commas what is repeated.
 *
 * @param value null where there is no such header
 */
export function headerList(value: string | null | undefined): string[] {
  return (value ?? "")
    .split(",")
    .map((member) => member.trim())
    .filter((member) => member !== "");
}
