#include "model/weights/pth_reader.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <sstream>

#include "absl/strings/str_join.h"
#include "model/weights/mapped_file.h"
#include "model/weights/pickle.h"
#include "model/weights/zip_directory.h"
#include "tests/model/weights/test_files.h"

namespace semsam {
namespace {

struct Expected {
  std::string key;
  std::string dtype;
  std::string shape;
  std::vector<double> values;
};

std::vector<Expected> ReadExpected(const std::string& file, size_t values_column) {
  std::vector<Expected> expected;
  const auto rows = ReadTsv(ParityPath("pth/" + file));
  for (const std::vector<std::string>& row : rows) {
    if (row[0] == "key") continue;
    Expected entry{row[0], row[1], row[2], {}};
    std::istringstream in(row.size() > values_column ? row[values_column] : "");
    for (double value; in >> value;) entry.values.push_back(value);
    expected.push_back(std::move(entry));
  }
  return expected;
}

std::vector<double> Doubles(const TensorView& tensor) {
  if (tensor.dtype == DType::kFloat64) {
    std::vector<double> values(static_cast<size_t>(Elements(tensor)));
    EXPECT_TRUE(CopyContiguous(tensor, std::as_writable_bytes(std::span(values))).ok());
    return values;
  }
  const std::vector<float> values = Floats(tensor);
  return {values.begin(), values.end()};
}

void ExpectEqual(const TensorView& tensor, const Expected& expected) {
  EXPECT_EQ(tensor.name, expected.key);
  EXPECT_EQ(DTypeName(tensor.dtype), expected.dtype) << expected.key;
  const std::string shape = tensor.shape.empty() ? "scalar" : absl::StrJoin(tensor.shape, ",");
  EXPECT_EQ(shape, expected.shape) << expected.key;
  EXPECT_EQ(Doubles(tensor), expected.values) << expected.key;
}

struct GoldenCase {
  const char* file;
  const char* expected;
  const char* prefix;  // put before the expected keys
  size_t values_column;
  size_t count;  // the first rows of `expected`; 0: all
};

class GoldenTest : public testing::TestWithParam<GoldenCase> {};

TEST_P(GoldenTest, EveryTensorIsExact) {
  SEMSAM_SKIP_WITHOUT_PARITY();
  const GoldenCase& test = GetParam();
  const auto file = MappedFile::Open(ParityPath(std::string("pth/") + test.file));
  ASSERT_TRUE(file.ok()) << file.status();
  const auto tensors = ReadPth((*file)->bytes());
  ASSERT_TRUE(tensors.ok()) << tensors.status();
  std::vector<Expected> expected = ReadExpected(test.expected, test.values_column);
  if (test.count != 0) expected.resize(test.count);
  ASSERT_EQ(tensors->size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    expected[i].key = test.prefix + expected[i].key;
    ExpectEqual((*tensors)[i], expected[i]);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, GoldenTest,
    testing::Values(GoldenCase{"a_zip_model_dict.pth", "expected.tsv", "", 5, 0},
                    GoldenCase{"b_zip_ordereddict_full.pth", "expected.tsv", "", 5, 0},
                    GoldenCase{"c_zip_ordereddict_toplevel.pth", "expected.tsv", "", 5, 0},
                    GoldenCase{"d_legacy_model_dict.pth", "expected.tsv", "", 5, 0},
                    GoldenCase{"e_legacy_ordereddict.pth", "expected.tsv", "", 5, 0},
                    GoldenCase{"f_zip_parameters.pth", "expected.tsv", "", 5, 3},
                    GoldenCase{"g_zip_module_state.pth", "expected_module.tsv", "model.", 3, 0},
                    GoldenCase{"h_zip_state_dict_with_metadata.pth", "expected_module.tsv", "", 3,
                               0}),
    [](const auto& info) { return std::string(1, info.param.file[0]); });

TEST(PublishedModelTensors, KeepsPrefixedKeysWithoutTheirPrefixes) {
  const auto names = [](std::vector<std::string> keys) {
    std::vector<TensorView> tensors;
    for (const std::string& key : keys) tensors.push_back({.name = key});
    keys.clear();
    for (const TensorView& tensor : PublishedModelTensors(std::move(tensors))) {
      keys.push_back(tensor.name);
    }
    return keys;
  };
  using Keys = std::vector<std::string>;
  EXPECT_EQ(names({"model.a", "optimizer.b", "module.model.c", "model.model.module.d"}),
            (Keys{"a", "c", "d"}));
  EXPECT_EQ(names({"a", "modelx"}), (Keys{"a", "modelx"})) << "no key has the prefix";
  EXPECT_EQ(names({}), Keys{});
}

// Cuts and flips: anything but a crash, a hang or an unbounded allocation.
class HostileTest : public testing::TestWithParam<const char*> {};

TEST_P(HostileTest, CutFilesAreErrors) {
  SEMSAM_SKIP_WITHOUT_PARITY();
  const std::string whole = ReadText(ParityPath(std::string("pth/") + GetParam()));
  ASSERT_TRUE(ReadPth(BytesOf(whole)).ok());
  for (size_t length = 0; length < whole.size(); length += 97) {
    const std::string cut = whole.substr(0, length);
    EXPECT_FALSE(ReadPth(BytesOf(cut)).ok()) << length;
  }
  EXPECT_FALSE(ReadPth(BytesOf(whole.substr(0, whole.size() - 1))).ok());
}

TEST_P(HostileTest, FlippedFilesEndInATensorListOrAnError) {
  SEMSAM_SKIP_WITHOUT_PARITY();
  const std::string whole = ReadText(ParityPath(std::string("pth/") + GetParam()));
  std::mt19937 random(20240607);
  int refused = 0;
  for (int round = 0; round < 4000; ++round) {
    std::string flipped = whole;
    for (int i = 0; i <= round % 4; ++i) {
      flipped[random() % flipped.size()] = static_cast<char>(random());
    }
    const auto tensors = ReadPth(BytesOf(flipped));
    if (!tensors.ok()) {
      ++refused;
      continue;
    }
    for (const TensorView& tensor : *tensors) {
      EXPECT_LE(SizeBytes(tensor), static_cast<int64_t>(whole.size()));
      Floats(tensor);  // reads every element: the sanitizer watches
    }
  }
  EXPECT_GT(refused, 400) << "the flips hit nothing that matters";
}

INSTANTIATE_TEST_SUITE_P(All, HostileTest,
                         testing::Values("a_zip_model_dict.pth", "b_zip_ordereddict_full.pth",
                                         "d_legacy_model_dict.pth", "f_zip_parameters.pth",
                                         "h_zip_state_dict_with_metadata.pth"),
                         [](const auto& info) { return std::string(1, info.param[0]); });

// --- Files made by hand ---

std::string Number(uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i));
  return text;
}

struct ZipOptions {
  uint16_t method = 0;
  uint16_t flags = 0;
  bool zip64 = false;
};

// A stored zip archive as PyTorch lays it out, without padding.
std::string MakeZip(const std::vector<std::pair<std::string, std::string>>& entries,
                    const ZipOptions& options = {}) {
  std::string body;
  std::string directory;
  for (const auto& [name, content] : entries) {
    const size_t offset = body.size();
    const std::string sizes = Number(content.size(), 4) + Number(content.size(), 4);
    const std::string shared = Number(options.flags, 2) + Number(options.method, 2) +
                               std::string(8, '\0') + sizes + Number(name.size(), 2);
    body += "PK\3\4" + Number(45, 2) + shared + Number(0, 2) + name + content;
    const std::string extra = options.zip64
                                  ? Number(1, 2) + Number(24, 2) + Number(content.size(), 8) +
                                        Number(content.size(), 8) + Number(offset, 8)
                                  : "";
    const std::string wide = Number(options.flags, 2) + Number(options.method, 2) +
                             std::string(8, '\0') + std::string(8, '\xff') + Number(name.size(), 2);
    directory += "PK\1\2" + Number(45, 2) + Number(45, 2) + (options.zip64 ? wide : shared) +
                 Number(extra.size(), 2) + std::string(10, '\0') +
                 (options.zip64 ? std::string(4, '\xff') : Number(offset, 4)) + name + extra;
  }
  std::string end;
  if (options.zip64) {
    const size_t at = body.size() + directory.size();
    end += "PK\6\6" + Number(44, 8) + Number(45, 2) + Number(45, 2) + std::string(8, '\0') +
           Number(entries.size(), 8) + Number(entries.size(), 8) + Number(directory.size(), 8) +
           Number(body.size(), 8);
    end += "PK\6\7" + Number(0, 4) + Number(at, 8) + Number(1, 4);
    end += "PK\5\6" + std::string(4, '\0') + std::string(12, '\xff') + Number(0, 2);
  } else {
    end = "PK\5\6" + std::string(4, '\0') + Number(entries.size(), 2) + Number(entries.size(), 2) +
          Number(directory.size(), 4) + Number(body.size(), 4) + Number(0, 2);
  }
  return body + directory + end;
}

std::string Unicode(const std::string& text) {
  return Number(text.size(), 4).insert(0, 1, 'X') + text;
}

std::string Int(uint64_t value) { return "\x8a\x08" + Number(value, 8); }

// {"w": tensor} with the given numbers in its description.
std::string TensorPickle(uint64_t elements, uint64_t offset, const std::string& sizes,
                         const std::string& strides, const std::string& storage = "FloatStorage") {
  return "\x80\x02}" + Unicode("w") + "ctorch._utils\n_rebuild_tensor_v2\n((" + Unicode("storage") +
         "ctorch\n" + storage + "\n" + Unicode("0") + Unicode("cpu") + Int(elements) + "tQ" +
         Int(offset) + "(" + sizes + "t(" + strides +
         "t\x89"
         "ccollections\nOrderedDict\n)RtRs.";
}

std::string OneTensorZip(const std::string& pickle, const std::string& data) {
  return MakeZip({{"x/data.pkl", pickle}, {"x/data/0", data}, {"x/version", "3\n"}});
}

constexpr char kSystemCall[] =
    "\x80\x02"
    "cos\nsystem\n(X\x07\0\0\0echo hitR.";
const std::string kSystemPickle(kSystemCall, sizeof(kSystemCall) - 1);

std::string LegacyFile(const std::string& object_pickle) {
  const std::string magic("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15);
  return magic + std::string("\x80\x02M\xe9\x03.", 6) + "\x80\x02}" + Unicode("little_endian") +
         "\x88s." + object_pickle;
}

TEST(HostilePickle, ACallOfTheSystemIsNamedAndNotMade) {
  const std::string protocol4(
      "\x80\x04\x95\x1b\0\0\0\0\0\0\0\x8c\x05posix\x94\x8c\x06system\x94\x93.", 30);
  const std::pair<std::string, const char*> cases[] = {
      {MakeZip({{"x/data.pkl", kSystemPickle}}), "os.system"},
      {LegacyFile(kSystemPickle), "os.system"},
      {kSystemPickle, "os.system"},
      {protocol4, "posix.system"},
      {MakeZip({{"x/data.pkl",
                 "\x80\x02"
                 "cbuiltins\neval\n."}}),
       "builtins.eval"},
      // A known module does not make its other names known.
      {MakeZip({{"x/data.pkl",
                 "\x80\x02"
                 "ctorch\nload\n."}}),
       "torch.load"},
      {MakeZip({{"x/data.pkl",
                 "\x80\x02"
                 "ccollections\nCounter\n."}}),
       "collections.Counter"},
  };
  for (const auto& [file, name] : cases) {
    const auto tensors = ReadPth(BytesOf(file));
    EXPECT_EQ(tensors.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_TRUE(
        Contains(tensors.status(), "asks for " + std::string(name) + ", which is not executed"))
        << tensors.status();
  }
}

TEST(HostilePickle, ForeignOpcodesAreNamed) {
  const std::pair<std::string, const char*> cases[] = {
      {"\x80\x02(S'echo'\nios\nsystem\n.", "STRING"},
      {"\x80\x02(ios\nsystem\n.", "INST"},
      {"\x80\x02\x82\x01.", "EXT1"},
      {"\x80\x02\x81.", "NEWOBJ"},
      {"\x80\x02\x7f.", "unknown (0x7f) at byte 2"},
  };
  for (const auto& [pickle, name] : cases) {
    const auto result = ReadPickle(BytesOf(pickle));
    EXPECT_TRUE(Contains(result.status(), name)) << result.status();
  }
}

TEST(HostilePickle, StackAndTypesAreChecked) {
  const std::pair<std::string, const char*> cases[] = {
      {"", "cut short"},
      {".", "takes more than"},
      {"N(.", "takes more than"},
      {"NN.", "left over"},
      {"Nt.", "a mark that it has not opened"},
      {"h\x05.", "recalls memo 5"},
      {"q\x01.", "memo of nothing"},
      {"}]a.", "no list"},
      {"]NNs.", "no dictionary"},
      {"}(Nu.", "without a value"},
      {"N)R.", "calls something"},
      {"ctorch\nFloatStorage\n)R.", "calls a storage"},
      {"NQ.", "outside data"},
      {"NNb.", "sets the state"},
      {"cos", "without an end"},
      {"X\xff\xff\xff\xffhi", "cut short"},
      {"\x80\x77.", "protocol"},
      {"ccollections\nOrderedDict\nN\x85R.", "OrderedDict"},
      {"ctorch._utils\n_rebuild_parameter\nN\x85R.", "Parameter"},
      {"ctorch._utils\n_rebuild_tensor_v2\nN\x85R.", "unknown arguments"},
  };
  for (const auto& [pickle, error] : cases) {
    const auto result = ReadPickle(BytesOf(pickle));
    EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument) << pickle;
    EXPECT_TRUE(Contains(result.status(), error)) << pickle << ": " << result.status();
  }
}

TEST(HostilePickle, DeepAndEndlessPicklesEnd) {
  // A list in a list in a list ...; a list that holds itself.
  std::string deep(500'000, ']');
  deep += std::string(499'999, 'a') + ".";
  EXPECT_TRUE(ReadPickle(BytesOf(deep)).ok());
  EXPECT_TRUE(ReadPickle(BytesOf("]q\x01h\x01"
                                 "a."))
                  .ok());

  EXPECT_TRUE(Contains(ReadPickle(BytesOf(std::string(2'000'000, ']'))).status(), "too many"));
  EXPECT_TRUE(Contains(ReadPickle(BytesOf(std::string(2'000'000, '('))).status(), "too deep"));
  const std::string wide = "(" + std::string(100'000, 'N') + "tq" + std::string(1, '\0');
  std::string again = "ctorch._utils\n_rebuild_tensor_v2\n";
  for (int i = 0; i < 1'200'000; ++i) again += std::string("h\0", 2);
  EXPECT_TRUE(Contains(ReadPickle(BytesOf(wide + again)).status(), "too many"));
}

TEST(HostilePickle, ATensorMustLieInItsStorage) {
  const std::string data(16, '\x11');
  const std::string two = Int(2);
  ASSERT_TRUE(
      ReadPth(BytesOf(OneTensorZip(TensorPickle(4, 0, two + two, two + Int(1)), data))).ok());
  const std::pair<std::string, const char*> cases[] = {
      {TensorPickle(4, 1, two + two, two + Int(1)), "needs 4 elements"},
      {TensorPickle(4, ~uint64_t{0}, two, Int(1)), "inside its storage"},
      {TensorPickle(4, 5, Int(0), Int(1)), "inside its storage"},
      {TensorPickle(4, 0, two, two + two), "inside its storage"},
      {TensorPickle(4, 0, two, Int(~uint64_t{0})), "negative stride"},
      {TensorPickle(4, 0, Int(~uint64_t{0}), Int(1)), "negative size"},
      {TensorPickle(4, 0, Int(uint64_t{1} << 62) + Int(4), Int(0) + Int(0)), "too large"},
      {TensorPickle(4, 0, Int(uint64_t{1} << 40), Int(0)), "more elements than its storage"},
      {TensorPickle(4, 0, two + two, Int(uint64_t{1} << 62) + Int(uint64_t{1} << 62)), "too large"},
      {TensorPickle(5, 0, two, Int(1)), "holds 16 bytes instead of 20"},
      {TensorPickle(~uint64_t{0}, 0, two, Int(1)), "impossible size"},
      {TensorPickle(uint64_t{1} << 62, 0, two, Int(1)), "impossible size"},
      {TensorPickle(4, 0, two, Int(1), "ComplexStorage"), "torch.ComplexStorage"},
  };
  for (const auto& [pickle, error] : cases) {
    const auto tensors = ReadPth(BytesOf(OneTensorZip(pickle, data)));
    EXPECT_EQ(tensors.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_TRUE(Contains(tensors.status(), error)) << error << ": " << tensors.status();
  }
}

TEST(PthReader, OpensTheWrappersOfTrainingCheckpoints) {
  const std::string pickle = TensorPickle(1, 0, "", "");
  const std::string dict = pickle.substr(2, pickle.size() - 3);  // no PROTO, no STOP
  const std::string data("\0\0\x80\x3f", 4);
  const std::string epoch = Unicode("iteration") + Int(7) + "s";
  const auto wrapped = [&](const std::string& entries) { return "\x80\x02}" + entries + "."; };
  const std::string other = Unicode("state_dict") + "}s";
  for (const std::string& text : {wrapped(Unicode("state_dict") + dict + "s" + epoch),
                                  wrapped(other + Unicode("model") + dict + "s" + epoch)}) {
    const std::string file = OneTensorZip(text, data);  // the tensors look into it
    const auto tensors = ReadPth(BytesOf(file));
    ASSERT_TRUE(tensors.ok()) << tensors.status();
    ASSERT_EQ(tensors->size(), 1u);
    EXPECT_EQ(tensors->front().name, "w");
    EXPECT_EQ(Floats(tensors->front()), std::vector<float>{1});
  }
}

TEST(PthReader, Zip64AndByteOrder) {
  const std::string pickle = TensorPickle(1, 0, "", "");
  const std::string data("\0\0\x80\x3f", 4);
  const auto read = [&](const std::string& order, const ZipOptions& options) {
    return ReadPth(BytesOf(MakeZip({{"archive/data.pkl", pickle},
                                    {"archive/byteorder", order},
                                    {"archive/data/0", data},
                                    {"archive/.data/serialization_id", "12345"}},
                                   options)));
  };
  for (const bool zip64 : {false, true}) {
    const auto file = MakeZip({{"archive/data.pkl", pickle},
                               {"archive/byteorder", "little"},
                               {"archive/data/0", data},
                               {"archive/.data/serialization_id", "12345"}},
                              {.zip64 = zip64});
    const auto tensors = ReadPth(BytesOf(file));
    ASSERT_TRUE(tensors.ok()) << tensors.status();
    EXPECT_EQ(Floats(tensors->at(0)), std::vector<float>{1.0f});
  }
  EXPECT_TRUE(Contains(read("big", {}).status(), "big-endian"));
  EXPECT_TRUE(Contains(read("little", {.method = 8}).status(), "compressed"));
  EXPECT_TRUE(Contains(read("little", {.flags = 1}).status(), "encrypted"));
}

TEST(PthReader, OddFilesGetAReason) {
  const std::string pickle = TensorPickle(1, 0, "", "");
  const std::pair<std::string, const char*> cases[] = {
      {"", "neither a zip archive nor a pickle"},
      {"hello", "neither a zip archive nor a pickle"},
      {MakeZip({}), "neither a zip archive nor a pickle"},  // an empty archive starts otherwise
      {MakeZip({{"mimetype", "text"}}), "no data.pkl"},
      {MakeZip({{"x/data.pkl", pickle}}), "which the file lacks"},
      {MakeZip({{"x/data.pkl", pickle}, {"x/data.pkl", pickle}}), "appears twice"},
      {MakeZip({{"x/data.pkl", "\x80\x02N."}}), "no dictionary"},
      {MakeZip({{"x/data.pkl", "\x80\x02}."}}), "no tensors"},
      {"\x80\x02}.", "torch.save did not write it"},
      {LegacyFile("\x80\x02}.") + "\x80\x02N.", "no list of storages"},
      {LegacyFile("\x80\x02}.") + "\x80\x02]" + Unicode("7") + "a.", "nothing uses its storage 7"},
  };
  for (const auto& [file, error] : cases) {
    const auto tensors = ReadPth(BytesOf(file));
    EXPECT_EQ(tensors.status().code(), absl::StatusCode::kInvalidArgument) << error;
    EXPECT_TRUE(Contains(tensors.status(), error)) << tensors.status();
  }
}

TEST(ZipDirectory, RecordsThatPointOutsideAreErrors) {
  const std::string good = MakeZip({{"a", "content"}});
  ASSERT_TRUE(ReadZipDirectory(BytesOf(good)).ok());
  const size_t central = good.find("PK\1\2");
  const size_t end = good.find("PK\5\6");
  const std::pair<size_t, const char*> cases[] = {
      {central + 42, "no local header"},       // offset of the entry
      {central + 28, "directory is damaged"},  // length of its name
      {central + 20, "another size"},          // stored size
      {end + 16, "beyond the end"},            // offset of the directory
      {end + 12, "beyond the end"},            // its size
      {end + 10, "directory is damaged"},      // its entries
      {26, "another name"},
  };
  for (const auto& [at, error] : cases) {
    std::string bad = good;
    bad[at] = '\x7f';
    bad[at + 1] = '\x7f';
    const auto entries = ReadZipDirectory(BytesOf(bad));
    EXPECT_TRUE(Contains(entries.status(), error)) << at << ": " << entries.status();
  }
}

}  // namespace
}  // namespace semsam
