/** The message of a refusal, which is a Kubernetes Status. Pure. @returns undefined for anything else */
export function statusMessage(text: string): string | undefined {
  try {
    const { message } = JSON.parse(text) as { readonly message?: unknown };
    return typeof message === "string" && message !== "" ? message : undefined;
  } catch {
    return undefined;
  }
}
