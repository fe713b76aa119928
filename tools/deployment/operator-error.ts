/** Something an operator can mend. The message says what is wrong and what to do; its stack is of no use to anybody. */
export class OperatorError extends Error {
  override readonly name = "OperatorError";
}

/** The words of an error for a person; of what is not ours the message only. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
