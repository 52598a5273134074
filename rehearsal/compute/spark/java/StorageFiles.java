package rehearsal.spark;

import java.io.File;
import java.io.IOException;
import java.net.URI;

import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RawLocalFileSystem;

/**
 * The machine's files, with the cloud's storage where notebooks look for it: /Volumes and /dbfs are folders below the
 * one that the setting `rehearsal.data` names. What a listing gives has the path that was asked for, not the real one.
 *
 * <p>A volume that isn't there is made by the first write, as if an administrator had made it; on Databricks the write
 * is refused.
 */
class StorageFiles extends RawLocalFileSystem {
  static final String DATA = "rehearsal.data";

  private String data;

  @Override
  public void initialize(URI name, Configuration configuration) throws IOException {
    data = configuration.get(DATA);
    super.initialize(name, configuration);
  }

  @Override
  public File pathToFile(Path path) {
    String wanted = path.isAbsolute() ? path.toUri().getPath() : new Path(getWorkingDirectory(), path).toUri().getPath();
    String volume = below(wanted, "/Volumes");
    if (volume != null) {
      return new File(data + "/volumes" + volume);
    }
    String file = below(wanted, "/dbfs");
    return file != null ? new File(data + "/dbfs" + file) : other(path, wanted);
  }

  /** The file of a path that is neither in a volume nor below /dbfs. */
  protected File other(Path path, String absolute) {
    return super.pathToFile(path);
  }

  protected final File inDbfs(String absolute) {
    return new File(data + "/dbfs" + absolute);
  }

  private static String below(String path, String root) {
    if (!path.equals(root) && !path.startsWith(root + "/")) {
      return null;
    }
    String rest = path.substring(root.length());
    for (String part : rest.split("/")) {
      if (part.equals("..")) {
        throw new IllegalArgumentException(path + " leads out of " + root);
      }
    }
    return rest;
  }

  @Override
  public FileStatus getFileStatus(Path path) throws IOException {
    FileStatus real = super.getFileStatus(path);
    // Without owner and permissions: to find them Hadoop would start `ls`.
    return new FileStatus(
        real.getLen(), real.isDirectory(), 1, real.getBlockSize(), real.getModificationTime(), makeQualified(path));
  }

  @Override
  public FileStatus[] listStatus(Path path) throws IOException {
    FileStatus one = getFileStatus(path);
    return one.isDirectory() ? super.listStatus(path) : new FileStatus[] {one};
  }
}
