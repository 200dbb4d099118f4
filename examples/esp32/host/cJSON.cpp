// JSON for the sketches on a computer: reads and prints what cJSON does.
#include "cJSON.h"

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

enum { kFalse = 1, kTrue = 2, kNull = 4, kNumber = 8, kString = 16, kArray = 32, kObject = 64 };

static cJSON *make(int type) {
  cJSON *item = (cJSON *)calloc(1, sizeof(cJSON));
  item->type = type;
  return item;
}

static char *copy(const std::string &text) {
  char *made = (char *)malloc(text.size() + 1);
  memcpy(made, text.c_str(), text.size() + 1);
  return made;
}

namespace {
struct Reader {
  const char *at, *end;
  int depth = 0;

  void blank() {
    while (at < end && strchr(" \t\r\n", *at) && *at) at++;
  }
  bool word(const char *text) {
    size_t length = strlen(text);
    if ((size_t)(end - at) < length || memcmp(at, text, length) != 0) return false;
    at += length;
    return true;
  }
  static void utf8(std::string &out, uint32_t code) {
    if (code < 0x80) out += (char)code;
    else if (code < 0x800) out += {(char)(0xC0 | code >> 6), (char)(0x80 | (code & 63))};
    else if (code < 0x10000) out += {(char)(0xE0 | code >> 12), (char)(0x80 | (code >> 6 & 63)), (char)(0x80 | (code & 63))};
    else out += {(char)(0xF0 | code >> 18), (char)(0x80 | (code >> 12 & 63)), (char)(0x80 | (code >> 6 & 63)), (char)(0x80 | (code & 63))};
  }
  bool hex(uint32_t &code) {
    if (end - at < 4) return false;
    code = 0;
    for (int n = 0; n < 4; n++) {
      char c = *at++;
      int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
      if (digit < 0) return false;
      code = code * 16 + digit;
    }
    return true;
  }
  bool text(std::string &out) {
    if (at >= end || *at++ != '"') return false;
    while (at < end && *at != '"') {
      if (*at != '\\') {
        out += *at++;
        continue;
      }
      if (++at >= end) return false;
      static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
      char c = *at++;
      uint32_t code, low;
      if (c == 'u') {
        if (!hex(code)) return false;
        if (code >= 0xD800 && code < 0xDC00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u') {
          at += 2;
          if (!hex(low) || low < 0xDC00 || low > 0xDFFF) return false;
          code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        }
        utf8(out, code);
      } else {
        const char *found = strchr(names, c);
        if (!found || !c) return false;
        out += values[found - names];
      }
    }
    return at < end && *at++ == '"';
  }
  cJSON *list(char close, bool named) {
    cJSON *made = make(named ? kObject : kArray), **place = &made->child;
    at++;
    blank();
    if (at < end && *at == close) return at++, made;
    while (true) {
      std::string name;
      blank();
      if (named && (!text(name) || (blank(), at >= end) || *at++ != ':')) break;
      cJSON *item = value();
      if (!item) break;
      if (named) item->string = copy(name);
      *place = item;
      place = &item->next;
      blank();
      if (at >= end || (*at != ',' && *at != close)) break;
      if (*at++ == close) return made;
    }
    cJSON_Delete(made);
    return nullptr;
  }
  cJSON *value() {
    blank();
    if (at >= end || depth >= 64) return nullptr;
    if (*at == '{' || *at == '[') {
      depth++;
      cJSON *made = *at == '{' ? list('}', true) : list(']', false);
      depth--;
      return made;
    }
    if (*at == '"') {
      std::string said;
      if (!text(said)) return nullptr;
      cJSON *item = make(kString);
      item->valuestring = copy(said);
      return item;
    }
    if (word("true")) return make(kTrue);
    if (word("false")) return make(kFalse);
    if (word("null")) return make(kNull);
    std::string digits;
    while (at < end && *at && strchr("+-0123456789.eE", *at)) digits += *at++;
    char *rest;
    double number = strtod(digits.c_str(), &rest);
    return digits.empty() || *rest ? nullptr : cJSON_CreateNumber(number);
  }
};
}  // namespace

cJSON *cJSON_ParseWithLength(const char *text, size_t length) {
  Reader reader{text, text + length};
  cJSON *item = reader.value();
  reader.blank();
  if (item && reader.at != reader.end) {
    cJSON_Delete(item);
    return nullptr;
  }
  return item;
}

static void print_text(std::string &out, const char *text) {
  out += '"';
  for (; *text; text++) {
    unsigned char c = *text;
    if (c == '"' || c == '\\') (out += '\\') += c;
    else if (c < 0x20) {
      char escaped[8];
      snprintf(escaped, sizeof escaped, "\\u%04x", c);
      out += escaped;
    } else out += c;
  }
  out += '"';
}

static void print(std::string &out, const cJSON *item) {
  char number[40];
  switch (item->type) {
    case kTrue: out += "true"; break;
    case kFalse: out += "false"; break;
    case kNumber:
      if (!std::isfinite(item->valuedouble)) { out += "null"; break; }
      snprintf(number, sizeof number, std::fabs(item->valuedouble) < 1e15 && item->valuedouble == std::floor(item->valuedouble) ? "%.0f" : "%.10g", item->valuedouble);
      out += number;
      break;
    case kString: print_text(out, item->valuestring); break;
    case kArray:
    case kObject: {
      out += item->type == kArray ? '[' : '{';
      for (const cJSON *one = item->child; one; one = one->next) {
        if (item->type == kObject) {
          print_text(out, one->string);
          out += ':';
        }
        print(out, one);
        if (one->next) out += ',';
      }
      out += item->type == kArray ? ']' : '}';
      break;
    }
    default: out += "null";
  }
}

char *cJSON_PrintUnformatted(const cJSON *item) {
  std::string out;
  print(out, item);
  return copy(out);
}

void cJSON_free(void *text) { free(text); }

void cJSON_Delete(cJSON *item) {
  while (item) {
    cJSON *next = item->next;
    cJSON_Delete(item->child);
    free(item->valuestring);
    free(item->string);
    free(item);
    item = next;
  }
}

cJSON *cJSON_Duplicate(const cJSON *item, bool deep) {
  if (!item) return nullptr;
  cJSON *made = make(item->type);
  made->valueint = item->valueint;
  made->valuedouble = item->valuedouble;
  if (item->valuestring) made->valuestring = copy(item->valuestring);
  if (item->string) made->string = copy(item->string);
  cJSON **place = &made->child;
  for (const cJSON *one = deep ? item->child : nullptr; one; one = one->next) {
    *place = cJSON_Duplicate(one, true);
    place = &(*place)->next;
  }
  return made;
}

cJSON *cJSON_CreateObject() { return make(kObject); }
cJSON *cJSON_CreateArray() { return make(kArray); }
cJSON *cJSON_CreateNumber(double value) {
  cJSON *item = make(kNumber);
  item->valuedouble = value;
  item->valueint = value >= INT32_MAX ? INT32_MAX : value <= INT32_MIN ? INT32_MIN : (int)value;
  return item;
}

bool cJSON_AddItemToArray(cJSON *array, cJSON *item) {
  if (!array || !item) return false;
  cJSON **place = &array->child;
  while (*place) place = &(*place)->next;
  *place = item;
  return true;
}

bool cJSON_AddItemToObject(cJSON *object, const char *name, cJSON *item) {
  if (!object || !item) return false;
  free(item->string);
  item->string = copy(name);
  return cJSON_AddItemToArray(object, item);
}

static cJSON *added(cJSON *object, const char *name, cJSON *item) { return cJSON_AddItemToObject(object, name, item) ? item : nullptr; }

cJSON *cJSON_AddStringToObject(cJSON *object, const char *name, const char *text) {
  cJSON *item = make(kString);
  item->valuestring = copy(text);
  return added(object, name, item);
}
cJSON *cJSON_AddNumberToObject(cJSON *object, const char *name, double value) { return added(object, name, cJSON_CreateNumber(value)); }
cJSON *cJSON_AddBoolToObject(cJSON *object, const char *name, bool value) { return added(object, name, make(value ? kTrue : kFalse)); }

cJSON *cJSON_GetObjectItemCaseSensitive(const cJSON *object, const char *name) {
  for (cJSON *item = object && object->type == kObject ? object->child : nullptr; item; item = item->next) {
    if (strcmp(item->string, name) == 0) return item;
  }
  return nullptr;
}

int cJSON_GetArraySize(const cJSON *array) {
  int size = 0;
  for (const cJSON *item = array ? array->child : nullptr; item; item = item->next) size++;
  return size;
}

bool cJSON_IsString(const cJSON *item) { return item && item->type == kString; }
bool cJSON_IsNumber(const cJSON *item) { return item && item->type == kNumber; }
bool cJSON_IsObject(const cJSON *item) { return item && item->type == kObject; }
bool cJSON_IsArray(const cJSON *item) { return item && item->type == kArray; }
