import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.time.temporal.ChronoUnit;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.generic.GenericRecordBuilder;
import org.apache.avro.message.BinaryMessageEncoder;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Sends users to Rollcall, one event for each line of a JSON file, as any service may.
 *
 * <p>It needs Kafka, the schema (`UserRow.avsc`) and nothing of Rollcall's code. The exit status is
 * 0 only if Kafka has acknowledged every event: then each will be applied, or become a dead letter
 * with its reason. Running it again is safe, because the events keep their ids and their order.
 *
 * <p>Usage: {@code SendUsers bootstrap.servers=HOST:PORT schema=UserRow.avsc file=users.jsonl}, and
 * further {@code name=value}: topic, key, source; all others are properties of Kafka's producer.
 */
public final class SendUsers {
  /** In the order of their bits in `present`. */
  private static final List<String> FIELDS =
      List.of(
          "first_name",
          "last_name",
          "email",
          "mobile_number",
          "country",
          "state",
          "last_active_date",
          "sms_subscription",
          "email_subscription",
          "voice_subscription");

  private static final String USAGE =
      "SendUsers bootstrap.servers=HOST:PORT schema=UserRow.avsc file=users.jsonl";

  private static final ObjectMapper JSON = new ObjectMapper();

  private final Schema schema;
  private final String keySetting;
  private final String source;

  private SendUsers(Schema schema, String keySetting, String source) {
    this.schema = schema;
    this.keySetting = keySetting;
    this.source = source;
  }

  public static void main(String[] arguments) throws IOException {
    Map<String, String> options = new HashMap<>(Map.of("topic", "user-events"));
    for (String argument : arguments) {
      String[] pair = argument.split("=", 2);
      options.put(pair[0], pair.length == 2 ? pair[1] : "");
    }
    for (String needed : List.of("bootstrap.servers", "schema", "file")) {
      if (options.getOrDefault(needed, "").isEmpty()) {
        end("There is no " + needed + "=…: " + USAGE);
      }
    }
    for (String file : List.of(options.get("schema"), options.get("file"))) {
      if (!Files.isReadable(Path.of(file))) {
        end(file + " can't be read.");
      }
    }
    String topic = options.remove("topic");
    List<String> lines = Files.readAllLines(Path.of(options.remove("file")));
    SendUsers users =
        new SendUsers(
            new Schema.Parser().parse(Path.of(options.remove("schema")).toFile()),
            options.getOrDefault("key", "email"),
            options.getOrDefault("source", "crm"));
    options.keySet().removeAll(List.of("key", "source"));
    List<String> failures = users.send(topic, lines, options);
    failures.forEach(System.err::println);
    System.exit(failures.isEmpty() ? 0 : 1);
  }

  private static void end(String why) {
    System.err.println(why);
    System.exit(2);
  }

  private List<String> send(String topic, List<String> lines, Map<String, String> properties)
      throws IOException {
    // Avro's own single-object encoding: C3 01, the schema's fingerprint, the body.
    BinaryMessageEncoder<GenericRecord> encoder =
        new BinaryMessageEncoder<>(GenericData.get(), schema);
    ConcurrentLinkedQueue<String> failures = new ConcurrentLinkedQueue<>();
    try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(settings(properties))) {
      for (int number = 1; number <= lines.size(); number++) {
        GenericRecord row;
        ByteBuffer value;
        try {
          row = userRow(JSON.readTree(lines.get(number - 1)));
          value = encoder.encode(row);
        } catch (IOException | RuntimeException error) {
          failures.add("line " + number + " was not sent: " + error);
          continue;
        }
        send(producer, topic, row, value, failures);
      }
      producer.flush();
    }
    return List.copyOf(failures);
  }

  private static void send(
      KafkaProducer<byte[], byte[]> producer,
      String topic,
      GenericRecord row,
      ByteBuffer value,
      ConcurrentLinkedQueue<String> failures) {
    byte[] bytes = new byte[value.remaining()];
    value.get(bytes);
    String key = (String) row.get("key");
    Object eventId = row.get("event_id");
    producer.send(
        new ProducerRecord<>(topic, key.getBytes(StandardCharsets.UTF_8), bytes),
        (metadata, error) -> {
          if (error != null) {
            failures.add(eventId + " was not acknowledged: " + error);
          } else {
            String place = metadata.partition() + " " + metadata.offset();
            System.out.println(eventId + " " + key + " " + place);
          }
        });
  }

  private static Properties settings(Map<String, String> properties) {
    Properties settings = new Properties();
    // The default partitioner is the one that Rollcall expects: murmur2 of the key.
    // Acknowledged means kept; a retry inside the client neither doubles nor reorders.
    settings.put(ProducerConfig.ACKS_CONFIG, "all");
    settings.put(ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG, "true");
    settings.put(ProducerConfig.KEY_SERIALIZER_CLASS_CONFIG, ByteArraySerializer.class.getName());
    settings.put(ProducerConfig.VALUE_SERIALIZER_CLASS_CONFIG, ByteArraySerializer.class.getName());
    settings.putAll(properties);
    return settings;
  }

  /** The event that a line of the file means; only what the line names is set. */
  private GenericRecord userRow(JsonNode user) {
    GenericRecordBuilder row = new GenericRecordBuilder(schema);
    int present = 0;
    for (String name : FIELDS) {
      if (user.has(name)) {
        present |= 1 << FIELDS.indexOf(name);
        row.set(name, value(name, user.get(name)));
      }
    }
    Schema modes = schema.getField("mode").schema();
    return row.set("event_id", required(user, "event_id"))
        .set("mode", new GenericData.EnumSymbol(modes, required(user, "mode")))
        .set("key", keyOf(user))
        .set("attributes", attributes(user))
        .set("present", present)
        .set("occurred_at", ChronoUnit.MICROS.between(Instant.EPOCH, occurredAt(user)))
        .set("source", source)
        .build();
  }

  private static Object value(String name, JsonNode value) {
    if (value.isNull()) {
      return null;
    }
    if (name.equals("last_active_date")) {
      return (int) LocalDate.parse(value.asText()).toEpochDay();
    }
    if (name.endsWith("_subscription")) {
      return value.booleanValue();
    }
    // A text without white space around it, null where nothing is left: others are refused.
    String text = value.asText().strip();
    if (text.isEmpty()) {
      return null;
    }
    return name.equals("mobile_number") ? e164(text) : text;
  }

  private static Map<String, String> attributes(JsonNode user) {
    Map<String, String> attributes = new HashMap<>();
    for (Map.Entry<String, JsonNode> each : user.path("attributes").properties()) {
      attributes.put(each.getKey(), each.getValue().textValue());
    }
    return attributes;
  }

  private static Instant occurredAt(JsonNode user) {
    return user.has("occurred_at")
        ? OffsetDateTime.parse(user.get("occurred_at").asText()).toInstant()
        : Instant.now();
  }

  /** The normalised reconciliation key: the same for all spellings of the same user. */
  private String keyOf(JsonNode user) {
    return switch (keySetting) {
      case "email" -> required(user, "email").strip().toLowerCase(Locale.ROOT);
      case "mobileNumber" -> e164(required(user, "mobile_number"));
      default -> required(user.path("attributes"), keySetting);
    };
  }

  /** A phone number as +, country and number, without what people write between the digits. */
  private static String e164(String number) {
    String plain = number.strip().replaceAll("[ ()./-]", "").replaceFirst("^00", "+");
    if (!plain.matches("\\+[1-9][0-9]{6,14}")) {
      throw new IllegalArgumentException(number + " is no phone number in international form");
    }
    return plain;
  }

  private static String required(JsonNode user, String name) {
    if (!user.path(name).isTextual()) {
      throw new IllegalArgumentException(name + " is missing");
    }
    return user.get(name).textValue();
  }
}
