/** A failure that the operator can fix. The message says what happened, then what to do; the stack is never shown. */
export class OperatorError extends Error {
  override readonly name = "OperatorError";
}

/** The message of whatever was thrown. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
