/** The API's texts as sentences for operators. */

/** What programs are told to call: the operator has a button for it. */
const ROUTE = /\b(?:GET|POST|PUT|PATCH|DELETE) \/v1\//;

/** A detail of the API with a capital and a full stop, without the parts that name a route, unless nothing else is in it. */
export function sentence(detail: string): string {
  const text = withoutRoutes(detail) || detail;
  const capital = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(capital) ? capital : `${capital}.`;
}

function withoutRoutes(detail: string): string {
  if (!ROUTE.test(detail)) return detail;
  const plain = detail.replace(/ ?\([^()]*\)/g, (part) => (ROUTE.test(part) ? '' : part));
  const sentences = plain.split(/(?<=[.!?]) /).map((one) => {
    const kept = one.split(/(?<=[;:]) /).filter((clause) => !ROUTE.test(clause));
    return kept.join(' ').replace(/[;:]$/, '.');
  });
  return sentences.filter(Boolean).join(' ').trim();
}
