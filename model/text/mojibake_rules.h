// The patterns by which mojibake is known, as ICU regular expressions: data of
// ftfy 6.1.1 (Robyn Speer, MIT licence), see mojibake.h. `{name}` stands for the
// characters of a class; bytes are written as the code points of their numbers.
#ifndef SEMSAM_MODEL_TEXT_MOJIBAKE_RULES_H_
#define SEMSAM_MODEL_TEXT_MOJIBAKE_RULES_H_

#include <array>
#include <string_view>

namespace semsam::mojibake_rules {

struct CharacterClass {
  std::string_view name;
  std::string_view characters;  // inside the brackets of a set
};

inline constexpr CharacterClass kClasses[] = {
    // White space as Python's regular expressions know it.
    {"{space}", R"(\u0009-\u000D\u001C-\u0020\u0085\u00A0\u1680\u2000-\u200A\u2028\u2029)"
                R"(\u202F\u205F\u3000)"},
    {"{c1}", R"(\u0080-\u009F)"},
    {"{common}", R"(\u00A0\u00AD\u00B4\u00B7\u2013-\u2015\u2019\u2026)"},
    {"{bad}", R"(\u00A4\u00A6-\u00A8\u00AA\u00AC\u00AF\u00B6\u00B8\u00BA\u0192\u02C6\u02C7\u02D8)"
              R"(\u02DB\u02DC\u2020\u2021\u2030\u2310\u25CA\uFFFD)"},
    {"{currency}", R"(\u00A2\u00A3\u00A5\u20A7\u20AC)"},
    {"{start}",
     R"(\u00A1\u00A9\u00AB\u00BF\u0384\u0385\u2018\u201A\u201C\u201E\u2022\u2039\uF8FF)"},
    {"{end}", R"(\u00AE\u00BB\u02DD\u201D\u203A\u2122)"},
    {"{numeric}", R"(\u00B1-\u00B3\u00B5\u00B9\u00BC-\u00BE\u00D7\u00F7\u2044\u2116\u2202\u2206)"
                  R"(\u220F\u2211\u221A\u221E\u2229\u222B\u2248\u2260\u2261\u2264\u2265)"},
    // Letters that faces are drawn with.
    {"{kaomoji}", R"(\u00B0\u00D2-\u00D6\u00D9-\u00DC\u00F2-\u00F6\u00F8-\u00FC\u0150)"},
    {"{upper}", R"(\u00C0-\u00D1\u00D8\u00DC\u00DD\u0102\u0104\u0106\u010C\u010E\u0110\u0118\u011A)"
                R"(\u011E\u0130\u0139\u013D\u0141\u0143\u0147\u0152\u0158\u015A\u015E\u0160\u0162)"
                R"(\u0164\u016E\u0170\u0178\u0179\u017B\u017D\u0490)"},
    {"{lower}", R"(\u00DF-\u00F1\u00FC\u0103\u0105\u0107\u010D\u010F\u0111\u0119\u011B\u011F\u013A)"
                R"(\u013E\u0142\u0153\u0155\u015B\u015F\u0161\u0165\u017A\u017C\u017E\u0491\uFB01)"
                R"(\uFB02)"},
    {"{upper_common}", R"(\u00DE\u0386\u0388-\u038A\u038C\u038E\u038F\u0391-\u03AB\u0401-\u042F)"},
    {"{lower_common}", R"(\u03AC-\u03C9\u0430-\u045F)"},
    {"{box}", R"(\u2502\u250C\u2510\u2518\u251C\u2524\u252C\u253C\u2550-\u256C\u2580\u2584\u2588)"
              R"(\u258C\u2590-\u2593)"},
    // What bytes C2 to DF, E0 to EF, F0 and F3 of UTF-8 are read as.
    {"{lead2}",
     R"(\u00C2-\u00DF\u0102\u0106\u010C\u010E\u0110\u0118\u011A\u011E\u0130\u0139\u0143)"
     R"(\u0147\u0150\u0158\u015E\u0162\u016E\u0170\u0392-\u03A1\u03A3-\u03AF\u0412-\u042F)"},
    {"{lead3}", R"(\u00E0-\u00EF\u0103\u0107\u010D\u010F\u0119\u011B\u013A\u0155\u03B0-\u03BF)"
                R"(\u0430-\u043F)"},
    {"{lead4}", R"(\u00F0\u00F3\u0111\u011F\u03C0\u03C3\u0440\u0443)"},
    // What the bytes after them are read as: those that mean nothing else beside
    // mojibake, and those that may.
    {"{next_strict}",
     R"(\u0080-\u00BF\u0104\u0105\u013D\u013E\u0141\u0142\u0152\u0153\u015A\u015B)"
     R"(\u015E-\u0161\u0164\u0165\u0178-\u017E\u0192\u02C6\u02C7\u02D8\u02DB-\u02DD)"
     R"(\u0384-\u0386\u0388-\u038A\u038C\u038E\u038F\u0401-\u040C\u040E\u040F)"
     R"(\u0451-\u045C\u045E\u045F\u0490\u0491\u2020-\u2022\u2030\u2039\u203A)"
     R"(\u20AC\u2116\u2122)"},
    {"{next_loose}", R"(\u0020\u2013-\u2015\u2018-\u201A\u201C-\u201E\u2026)"},
};

// A text that holds one of these looks broken.
inline constexpr std::string_view kBadSequences[] = {
    R"([{c1}])",
    R"([{bad}{lower}{upper}{box}{start}{end}{currency}{numeric}][{bad}])",
    R"([a-zA-Z][{lower_common}{upper_common}][{bad}])",
    R"([{bad}][{lower}{upper}{box}{start}{end}{currency}{numeric}])",
    R"([{lower}{lower_common}{box}{end}{currency}{numeric}][{upper}])",
    R"([{box}{end}{currency}{numeric}][{lower}])",
    R"([{lower}{box}{end}][{currency}])",
    R"([{space}][{upper}][{currency}])",
    R"([{upper}{box}][{numeric}])",
    R"([{lower}{upper}{box}{currency}{end}][{start}][{numeric}])",
    R"([{lower}{upper}{currency}{numeric}{box}][{end}][{start}])",
    R"([{currency}{numeric}{box}][{start}])",
    R"([a-z][{upper}][{start}{currency}])",
    R"([{box}][{kaomoji}])",
    R"([{lower}{upper}{currency}{numeric}{start}{end}][{box}])",
    R"([{box}][{end}])",
    R"([{lower}{upper}][{end}][\p{L}\p{N}_])",
    // The ligature oe before anything but a plain letter.
    R"([\u0152\u0153][^A-Za-z])",
    // Windows-1252: pairs.
    R"([\u00C2\u00C3\u00CE\u00D0][\u20AC\u0160\u0161\u00A2\u00A3\u0178\u017E\u00A0\u00AD\u00AE\u00A9)"
    R"(\u00B0\u00B7\u00BB{start}{end}\u2013\u2014\u00B4])",
    R"(\u00D7[\u00B2\u00B3])",
    // Windows-1252: two letters of Arabic.
    R"((?:[\u00D8\u00D9][{common}{currency}{bad}{numeric}{start}\u0178\u0160\u00AE\u00B0\u00B5\u00BB]){2})",
    // Windows-1252: South Asian alphabets.
    R"(\u00E0[\u00B2\u00B5\u00B9\u00BC\u00BD\u00BE])",
    // MacRoman.
    R"(\u221A[\u00B1\u2202\u2020\u2260\u00AE\u2122\u00B4\u2264\u2265\u00A5\u00B5\u00F8])",
    R"(\u2248[\u00B0\u00A2])",
    R"(\u201A\u00C4[\u00EC\u00EE\u00EF\u00F2\u00F4\u00FA\u00F9\u00FB\u2020\u00B0\u00A2\u03C0])",
    R"(\u201A[\u00E2\u00F3][\u00E0\u00E4\u00B0\u00EA])",
    // Windows-1251: U+2000 and on, then Cyrillic letters.
    R"(\u0432\u0402)",
    R"([\u0412\u0413\u0420\u0421][{c1}{bad}{start}{end}{currency}\u00B0\u00B5])"
    R"([\u0412\u0413\u0420\u0421])",
    R"(\u0413\u045E\u0412\u0402\u0412[^\n][A-Za-z ])",
    // Windows-1252: letters a with accents, and the no-break space itself.
    R"(\u00C3[\u00A0\u00A1])",
    R"([a-z][{space}]?[\u00C2\u00C3] )",
    R"(^[\u00C2\u00C3] )",
    R"([a-z.,?!{end}]\u00C2[ {start}{end}])",
    // Windows-1253: U+2000 and on, then Greek letters.
    R"(\u03B2\u20AC[\u2122\u00A0\u0386\u00AD\u00AE\u00B0])",
    R"([\u0392\u0393\u039E\u039F][{c1}{bad}{start}{end}{currency}\u00B0][\u0392\u0393\u039E\u039F])",
};

// Runs of what looks like UTF-8 read as some one-byte encoding.
inline constexpr std::string_view kUtf8Run =
    R"((?<![{next_strict}])(?:[{lead2}][{next_strict}{next_loose}])"
    R"(|[{lead3}][{next_strict}{next_loose}]{2})"
    R"(|[{lead4}][{next_strict}{next_loose}]{3})++)";

// Bytes that are UTF-8 but for a space where A0 was.
inline constexpr std::string_view kSpaceForA0 =
    R"([\u00C2\u00C3\u00C5\u00CE\u00D0\u00D9] )"
    R"(|[\u00E2\u00E3] [\u0080-\u0084\u0086-\u009F\u00A1-\u00BF])"
    R"(|[\u00E0-\u00E3][\u0080-\u0084\u0086-\u009F\u00A1-\u00BF] )"
    R"(|\u00F0 [\u0080-\u00BF][\u0080-\u00BF])"
    R"(|\u00F0[\u0080-\u00BF] [\u0080-\u00BF])"
    R"(|\u00F0[\u0080-\u00BF][\u0080-\u00BF] )";

// C3 and a space that is a word of its own (French "a" with grave accent), not the
// beginning of one of the Portuguese words that are written together.
inline constexpr std::string_view kLoneAGrave = R"(\u00C3 (?! |quele|quela|quilo|s ))";

// Bytes of UTF-8 of which some are lost: 1A stands for U+FFFD, "?" is allowed once.
inline constexpr std::string_view kLossyUtf8 =
    R"([\u00C2-\u00DF]\u001A)"
    R"(|[\u00C2-\u00C3]\?)"
    R"(|\u00ED[\u00A0-\u00AF][\u001A?]\u00ED[\u00B0-\u00BF][\u001A?\u0080-\u00BF])"
    R"(|\u00ED[\u00A0-\u00AF][\u001A?\u0080-\u00BF]\u00ED[\u00B0-\u00BF][\u001A?])"
    R"(|[\u00E0-\u00EF][\u001A?][\u001A\u0080-\u00BF])"
    R"(|[\u00E0-\u00EF][\u001A\u0080-\u00BF][\u001A?])"
    R"(|[\u00F0-\u00F4][\u001A?][\u001A\u0080-\u00BF][\u001A\u0080-\u00BF])"
    R"(|[\u00F0-\u00F4][\u001A\u0080-\u00BF][\u001A?][\u001A\u0080-\u00BF])"
    R"(|[\u00F0-\u00F4][\u001A\u0080-\u00BF][\u001A\u0080-\u00BF][\u001A?])"
    R"(|\u001A)";

// Other spellings of UTF-8: Java's zero, and surrogate pairs as two characters.
inline constexpr std::string_view kUtf8Variants =
    R"(\u00C0\u0080)"
    R"(|\u00ED[\u00A0-\u00AF][\u0080-\u00BF]\u00ED[\u00B0-\u00BF][\u0080-\u00BF])";

// One-byte encodings in the order in which they are tried, as ICU names them.
inline constexpr char kIbm437[] = "IBM437";
struct OneByteEncoding {
  const char* icu_name;
  // Byte 1A stands for U+FFFD, and a byte that has no meaning for the control
  // character of its number.
  bool sloppy;
};
inline constexpr std::array<OneByteEncoding, 9> kEncodings = {{{"ISO-8859-1", false},
                                                               {"windows-1252", true},
                                                               {"windows-1251", true},
                                                               {"windows-1250", true},
                                                               {"windows-1253", true},
                                                               {"windows-1254", true},
                                                               {"ISO-8859-2", false},
                                                               {"macintosh", false},
                                                               {kIbm437, false}}};

}  // namespace semsam::mojibake_rules

#endif  // SEMSAM_MODEL_TEXT_MOJIBAKE_RULES_H_
