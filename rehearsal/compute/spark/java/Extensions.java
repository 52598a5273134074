package rehearsal.spark;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

import org.apache.spark.sql.SparkSessionExtensions;
import org.apache.spark.sql.catalyst.FunctionIdentifier;
import org.apache.spark.sql.catalyst.TableIdentifier;
import org.apache.spark.sql.catalyst.expressions.Expression;
import org.apache.spark.sql.catalyst.parser.ParseException;
import org.apache.spark.sql.catalyst.parser.ParserInterface;
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.StructType;

import scala.collection.immutable.Seq;
import scala.runtime.AbstractFunction1;
import scala.runtime.BoxedUnit;

/** What Databricks' SQL has and Spark's hasn't: USE CATALOG, which Spark calls SET CATALOG. */
public final class Extensions extends AbstractFunction1<SparkSessionExtensions, BoxedUnit> {
  // https://docs.databricks.com/aws/en/sql/language-manual/sql-ref-syntax-ddl-use-catalog
  private static final Pattern USE_CATALOG =
      Pattern.compile("\\s*(?:USE|SET)\\s+CATALOG\\s+(\\S.*)", Pattern.CASE_INSENSITIVE | Pattern.DOTALL);

  @Override
  public BoxedUnit apply(SparkSessionExtensions extensions) {
    extensions.injectParser((session, parser) -> new Parser(parser));
    return BoxedUnit.UNIT;
  }

  private record Parser(ParserInterface spark) implements ParserInterface {
    @Override
    public LogicalPlan parsePlan(String text) throws ParseException {
      Matcher found = USE_CATALOG.matcher(text);
      return spark.parsePlan(found.matches() ? "SET CATALOG " + found.group(1) : text);
    }

    @Override
    public Expression parseExpression(String text) throws ParseException {
      return spark.parseExpression(text);
    }

    @Override
    public TableIdentifier parseTableIdentifier(String text) throws ParseException {
      return spark.parseTableIdentifier(text);
    }

    @Override
    public FunctionIdentifier parseFunctionIdentifier(String text) throws ParseException {
      return spark.parseFunctionIdentifier(text);
    }

    @Override
    public Seq<String> parseMultipartIdentifier(String text) throws ParseException {
      return spark.parseMultipartIdentifier(text);
    }

    @Override
    public LogicalPlan parseQuery(String text) throws ParseException {
      return spark.parseQuery(text);
    }

    @Override
    public StructType parseRoutineParam(String text) throws ParseException {
      return spark.parseRoutineParam(text);
    }

    @Override
    public StructType parseTableSchema(String text) throws ParseException {
      return spark.parseTableSchema(text);
    }

    @Override
    public DataType parseDataType(String text) throws ParseException {
      return spark.parseDataType(text);
    }
  }
}
