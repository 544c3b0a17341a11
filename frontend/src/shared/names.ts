/** The display name of a participant. portico/core/names.py has the same rule for compositions. */

/** Members of a JSON context that may hold the name; the first one that does is used. */
const NAME_MEMBERS = ["username", "name", "displayName", "display_name"];
/** In code points. */
const NAME_LENGTH_MAX = 60;
const NAMELESS = "Guest";
const SPACE = /^[ \t\n\r\v\f\u00a0\u2028\u2029\ufeff]+|[ \t\n\r\v\f\u00a0\u2028\u2029\ufeff]+$/g;

/** The token's label, else the name in a JSON context, else the text of another context, else "Guest". */
export function displayName(label: string | null | undefined, context: string | null | undefined): string {
  for (const text of [label ?? "", inContext(context ?? "")]) {
    const name = [...text.replace(SPACE, "")].slice(0, NAME_LENGTH_MAX).join("");
    if (name) return name;
  }
  return NAMELESS;
}

function inContext(context: string): string {
  let value: unknown;
  try {
    value = JSON.parse(context);
  } catch {
    return context;
  }
  if (value !== null && typeof value === "object" && !Array.isArray(value)) {
    const members = new Map(Object.entries(value));
    value = NAME_MEMBERS.map((member) => members.get(member)).find((each) => typeof each === "string" && each.replace(SPACE, ""));
  }
  return typeof value === "string" ? value : "";
}
