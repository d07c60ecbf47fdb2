/**
 * Whether an Accept header admits a media type (RFC 9110 § 12.5.1); without one, everything is welcome.
 *
 * @param mediaType - As in Content-Type; its parameters do not matter.
 */
export function admits(accept: string | undefined, mediaType: string): boolean {
  if (accept === undefined || accept.trim() === "") return true;
  const [type, subtype] = bareType(mediaType).split("/", 2);
  const ranges = accept.split(",").flatMap((item) => {
    const [range = "", ...parameters] = item.split(";").map((part) => part.trim().toLowerCase());
    const specificity = [`*/*`, `${type}/*`, `${type}/${subtype}`].indexOf(range);
    return specificity < 0 ? [] : [{ specificity, isRefusal: parameters.some((text) => /^q=0(\.0*)?$/.test(text)) }];
  });
  // The most specific range decides, so that `*/*, text/html;q=0` admits all but one.
  const decisive = Math.max(...ranges.map(({ specificity }) => specificity));
  return ranges.some(({ specificity, isRefusal }) => specificity === decisive && !isRefusal);
}

/** A media type without parameters, in lower case. */
export function bareType(mediaType: string): string {
  return mediaType.split(";", 1)[0]!.trim().toLowerCase();
}
