/**
 * A failure that the operator can fix. The message says what happened, then what to do; the stack is never
 * shown.
 */
export class OperatorError extends Error {
  override readonly name = "OperatorError";
}
