/** The text of a message with its http and https addresses as links. */

export interface Part {
  text: string;
  /** An http or https address; undefined for plain text. */
  href: string | undefined;
}

const ADDRESS = /\bhttps?:\/\/[^\s<>"'`]+/gi;
/** Punctuation that ends a sentence: at the end of an address it is not part of the address. */
const AFTER = /[.,;:!?)\]}*_]+$/;

/** The text divided into plain parts and links; their texts joined are the whole text. */
export function partsOf(text: string): Part[] {
  const parts: Part[] = [];
  let end = 0;
  for (const found of text.matchAll(ADDRESS)) {
    const address = trimmed(found[0]);
    const href = safeAddress(address);
    if (!href) continue;
    if (found.index > end) parts.push({ text: text.slice(end, found.index), href: undefined });
    parts.push({ text: address, href });
    end = found.index + address.length;
  }
  if (end < text.length) parts.push({ text: text.slice(end), href: undefined });
  return parts;
}

export function LinkedText({ text }: { text: string }) {
  return (
    <>
      {partsOf(text).map(({ text: shown, href }) =>
        // A new tab, so that the call goes on. It gets neither a reference to this page nor its address.
        href ? (
          <a href={href} target="_blank" rel="noopener noreferrer nofollow">
            {shown}
          </a>
        ) : (
          shown
        ),
      )}
    </>
  );
}

/** The address without punctuation at its end; a bracket that closes one of the address stays, as in "a_(b)". */
function trimmed(address: string): string {
  const shorter = address.replace(AFTER, "");
  const opened = count(shorter, "(") - count(shorter, ")");
  return opened > 0 && address.startsWith(`${shorter})`) ? `${shorter})` : shorter;
}

function count(text: string, sign: string): number {
  return text.split(sign).length - 1;
}

/** The link target; undefined for a misleading address with a user name, such as `https://bank.example@elsewhere.example`. */
function safeAddress(text: string): string | undefined {
  try {
    const { protocol, username, password, hostname, href } = new URL(text);
    const isWeb = protocol === "http:" || protocol === "https:";
    return isWeb && hostname && !username && !password ? href : undefined;
  } catch {
    return undefined;
  }
}
