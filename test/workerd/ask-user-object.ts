import {
  callUserObject,
  type UserObjectCalls,
  type UserObjectFields,
  type UserObjectMethod,
  type UserObjectValue,
} from "../../contract/user-object.ts";

/** Calls a method of an object, as the edge does, but once. @throws for a denial */
export async function askUserObject<M extends UserObjectMethod>(
  object: UserObjectCalls,
  method: M,
  fields: UserObjectFields<M>,
): Promise<UserObjectValue<M>> {
  const answer = await callUserObject(object, method, fields);
  if (!answer.ok) throw new Error(`${answer.error.code}: ${answer.error.message}`);
  return answer.value;
}
